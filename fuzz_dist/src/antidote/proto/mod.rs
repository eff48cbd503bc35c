//! The messages of AntidoteDB's client protocol (protocol buffers, proto2), and which code each has.
//!
//! Written by hand with prost's derive, so that nobody needs a protocol buffers compiler. A field
//! that proto2 calls required and that does not arrive has its type's default here; since success
//! is such a field and its default is false, an answer with holes is never taken for a success.

mod crdt;

pub(crate) use crdt::*;
use prost::Message;

/// A message with a code of its own.
pub(crate) trait Coded: Message + Default {
    /// The code in front of the message in its frame.
    const CODE: u8;
}

/// A message that a client sends, and what answers it when all is well.
pub(crate) trait Request: Coded {
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
pub(crate) struct ErrorResp {
    #[prost(bytes = "vec", required, tag = "1")]
    pub(crate) message: Vec<u8>,
    #[prost(uint32, required, tag = "2")]
    pub(crate) code: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct OperationResp {
    #[prost(bool, required, tag = "1")]
    pub(crate) success: bool,
    #[prost(uint32, optional, tag = "2")]
    pub(crate) error_code: Option<u32>,
}

#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub(crate) struct BoundObject {
    #[prost(bytes = "vec", required, tag = "1")]
    pub(crate) key: Vec<u8>,
    #[prost(int32, required, tag = "2")]
    pub(crate) data_type: i32,
    #[prost(bytes = "vec", required, tag = "3")]
    pub(crate) bucket: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub(crate) struct TxnProperties {
    #[prost(uint32, optional, tag = "1")]
    pub(crate) read_write: Option<u32>,
    #[prost(uint32, optional, tag = "2")]
    pub(crate) red_blue: Option<u32>,
}

#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub(crate) struct StartTransaction {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(crate) timestamp: Option<Vec<u8>>,
    #[prost(message, optional, tag = "2")]
    pub(crate) properties: Option<TxnProperties>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct StartTransactionResp {
    #[prost(bool, required, tag = "1")]
    pub(crate) success: bool,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) descriptor: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "3")]
    pub(crate) error_code: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReadObjects {
    #[prost(message, repeated, tag = "1")]
    pub(crate) objects: Vec<BoundObject>,
    #[prost(bytes = "vec", required, tag = "2")]
    pub(crate) descriptor: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReadObjectsResp {
    #[prost(bool, required, tag = "1")]
    pub(crate) success: bool,
    #[prost(message, repeated, tag = "2")]
    pub(crate) objects: Vec<ReadObjectResp>,
    #[prost(uint32, optional, tag = "3")]
    pub(crate) error_code: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct UpdateOp {
    #[prost(message, required, tag = "1")]
    pub(crate) object: BoundObject,
    #[prost(message, required, tag = "2")]
    pub(crate) operation: UpdateOperation,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct UpdateObjects {
    #[prost(message, repeated, tag = "1")]
    pub(crate) updates: Vec<UpdateOp>,
    #[prost(bytes = "vec", required, tag = "2")]
    pub(crate) descriptor: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub(crate) struct AbortTransaction {
    #[prost(bytes = "vec", required, tag = "1")]
    pub(crate) descriptor: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub(crate) struct CommitTransaction {
    #[prost(bytes = "vec", required, tag = "1")]
    pub(crate) descriptor: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CommitResp {
    #[prost(bool, required, tag = "1")]
    pub(crate) success: bool,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) commit_time: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "3")]
    pub(crate) error_code: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct StaticUpdateObjects {
    #[prost(message, required, tag = "1")]
    pub(crate) transaction: StartTransaction,
    #[prost(message, repeated, tag = "2")]
    pub(crate) updates: Vec<UpdateOp>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct StaticReadObjects {
    #[prost(message, required, tag = "1")]
    pub(crate) transaction: StartTransaction,
    #[prost(message, repeated, tag = "2")]
    pub(crate) objects: Vec<BoundObject>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct StaticReadObjectsResp {
    #[prost(message, required, tag = "1")]
    pub(crate) objects: ReadObjectsResp,
    #[prost(message, required, tag = "2")]
    pub(crate) commit: CommitResp,
}

#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub(crate) struct CreateDc {
    #[prost(string, repeated, tag = "1")]
    pub(crate) nodes: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CreateDcResp {
    #[prost(bool, required, tag = "1")]
    pub(crate) success: bool,
    #[prost(uint32, optional, tag = "2")]
    pub(crate) error_code: Option<u32>,
}

#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub(crate) struct ConnectToDcs {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub(crate) descriptors: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ConnectToDcsResp {
    #[prost(bool, required, tag = "1")]
    pub(crate) success: bool,
    #[prost(uint32, optional, tag = "2")]
    pub(crate) error_code: Option<u32>,
}

#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub(crate) struct GetConnectionDescriptor {}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct GetConnectionDescriptorResp {
    #[prost(bool, required, tag = "1")]
    pub(crate) success: bool,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) descriptor: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "3")]
    pub(crate) error_code: Option<u32>,
}
