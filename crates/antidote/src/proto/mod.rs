//! The messages of AntidoteDB's client protocol (protocol buffers, proto2), and which code each has.
//!
//! Written by hand with prost's derive, so that nobody needs a protocol buffers compiler. A field
//! that proto2 calls required and that does not arrive has its type's default here; since success
//! is such a field and its default is false, an answer with holes is never taken for a success.

mod crdt;

pub use crdt::*;
use prost::Message;

/// A message with a code of its own.
pub trait Coded: Message + Default {
    /// The code in front of the message in its frame.
    const CODE: u8;
}

/// A message that a client sends, and what answers it when all is well.
pub trait Request: Coded {
    /// The answer's type.
    type Reply: Coded;
}

macro_rules! coded {
    ($($message:ident = $code:literal),* $(,)?) => {
        $(impl Coded for $message { const CODE: u8 = $code; })*
    };
}

macro_rules! requests {
    ($($request:ident => $reply:ident),* $(,)?) => {
        $(impl Request for $request { type Reply = $reply; })*
    };
}

coded! {
    ErrorResp = 0, OperationResp = 111, ReadObjects = 116, UpdateObjects = 118,
    StartTransaction = 119, AbortTransaction = 120, CommitTransaction = 121,
    StaticUpdateObjects = 122, StaticReadObjects = 123, StartTransactionResp = 124,
    ReadObjectsResp = 126, CommitResp = 127, StaticReadObjectsResp = 128,
    CreateDc = 129, CreateDcResp = 130, ConnectToDcs = 131, ConnectToDcsResp = 132,
    GetConnectionDescriptor = 133, GetConnectionDescriptorResp = 134,
}

requests! {
    ReadObjects => ReadObjectsResp, UpdateObjects => OperationResp,
    StartTransaction => StartTransactionResp, AbortTransaction => OperationResp,
    CommitTransaction => CommitResp, StaticUpdateObjects => CommitResp,
    StaticReadObjects => StaticReadObjectsResp, CreateDc => CreateDcResp,
    ConnectToDcs => ConnectToDcsResp, GetConnectionDescriptor => GetConnectionDescriptorResp,
}

#[derive(Clone, PartialEq, Message)]
pub struct ErrorResp {
    #[prost(bytes = "vec", required, tag = "1")]
    pub message: Vec<u8>,
    #[prost(uint32, required, tag = "2")]
    pub code: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct OperationResp {
    #[prost(bool, required, tag = "1")]
    pub success: bool,
    #[prost(uint32, optional, tag = "2")]
    pub error_code: Option<u32>,
}

#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct BoundObject {
    #[prost(bytes = "vec", required, tag = "1")]
    pub key: Vec<u8>,
    #[prost(int32, required, tag = "2")]
    pub data_type: i32,
    #[prost(bytes = "vec", required, tag = "3")]
    pub bucket: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct TxnProperties {
    #[prost(uint32, optional, tag = "1")]
    pub read_write: Option<u32>,
    #[prost(uint32, optional, tag = "2")]
    pub red_blue: Option<u32>,
}

#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct StartTransaction {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub timestamp: Option<Vec<u8>>,
    #[prost(message, optional, tag = "2")]
    pub properties: Option<TxnProperties>,
}

#[derive(Clone, PartialEq, Message)]
pub struct StartTransactionResp {
    #[prost(bool, required, tag = "1")]
    pub success: bool,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub descriptor: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "3")]
    pub error_code: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ReadObjects {
    #[prost(message, repeated, tag = "1")]
    pub objects: Vec<BoundObject>,
    #[prost(bytes = "vec", required, tag = "2")]
    pub descriptor: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ReadObjectsResp {
    #[prost(bool, required, tag = "1")]
    pub success: bool,
    #[prost(message, repeated, tag = "2")]
    pub objects: Vec<ReadObjectResp>,
    #[prost(uint32, optional, tag = "3")]
    pub error_code: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub struct UpdateOp {
    #[prost(message, required, tag = "1")]
    pub object: BoundObject,
    #[prost(message, required, tag = "2")]
    pub operation: UpdateOperation,
}

#[derive(Clone, PartialEq, Message)]
pub struct UpdateObjects {
    #[prost(message, repeated, tag = "1")]
    pub updates: Vec<UpdateOp>,
    #[prost(bytes = "vec", required, tag = "2")]
    pub descriptor: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct AbortTransaction {
    #[prost(bytes = "vec", required, tag = "1")]
    pub descriptor: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct CommitTransaction {
    #[prost(bytes = "vec", required, tag = "1")]
    pub descriptor: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct CommitResp {
    #[prost(bool, required, tag = "1")]
    pub success: bool,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub commit_time: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "3")]
    pub error_code: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub struct StaticUpdateObjects {
    #[prost(message, required, tag = "1")]
    pub transaction: StartTransaction,
    #[prost(message, repeated, tag = "2")]
    pub updates: Vec<UpdateOp>,
}

#[derive(Clone, PartialEq, Message)]
pub struct StaticReadObjects {
    #[prost(message, required, tag = "1")]
    pub transaction: StartTransaction,
    #[prost(message, repeated, tag = "2")]
    pub objects: Vec<BoundObject>,
}

#[derive(Clone, PartialEq, Message)]
pub struct StaticReadObjectsResp {
    #[prost(message, required, tag = "1")]
    pub objects: ReadObjectsResp,
    #[prost(message, required, tag = "2")]
    pub commit: CommitResp,
}

#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct CreateDc {
    #[prost(string, repeated, tag = "1")]
    pub nodes: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct CreateDcResp {
    #[prost(bool, required, tag = "1")]
    pub success: bool,
    #[prost(uint32, optional, tag = "2")]
    pub error_code: Option<u32>,
}

#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct ConnectToDcs {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub descriptors: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ConnectToDcsResp {
    #[prost(bool, required, tag = "1")]
    pub success: bool,
    #[prost(uint32, optional, tag = "2")]
    pub error_code: Option<u32>,
}

#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct GetConnectionDescriptor {}

#[derive(Clone, PartialEq, Message)]
pub struct GetConnectionDescriptorResp {
    #[prost(bool, required, tag = "1")]
    pub success: bool,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub descriptor: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "3")]
    pub error_code: Option<u32>,
}
