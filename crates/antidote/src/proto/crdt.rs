//! Messages for the values of replicated data types and for their updates.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub struct CounterUpdate {
    #[prost(sint64, optional, tag = "1")]
    pub inc: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub struct CounterValue {
    #[prost(sint32, required, tag = "1")]
    pub value: i32,
}

/// The operation that a [`SetUpdate`] asks for; the server looks at the list of that one only.
pub const SET_ADD: i32 = 1;
pub const SET_REMOVE: i32 = 2;

#[derive(Clone, PartialEq, Message)]
pub struct SetUpdate {
    #[prost(int32, required, tag = "1")]
    pub operation: i32,
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub adds: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub removes: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub struct SetValue {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub elements: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub struct RegisterUpdate {
    #[prost(bytes = "vec", required, tag = "1")]
    pub value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct RegisterValue {
    #[prost(bytes = "vec", required, tag = "1")]
    pub value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct MultiRegisterValue {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub values: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub struct FlagUpdate {
    #[prost(bool, required, tag = "1")]
    pub value: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct FlagValue {
    #[prost(bool, required, tag = "1")]
    pub value: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct Reset {}

#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct MapKey {
    #[prost(bytes = "vec", required, tag = "1")]
    pub key: Vec<u8>,
    #[prost(int32, required, tag = "2")]
    pub data_type: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct MapNestedUpdate {
    #[prost(message, required, tag = "1")]
    pub key: MapKey,
    #[prost(message, required, tag = "2")]
    pub update: UpdateOperation,
}

#[derive(Clone, PartialEq, Message)]
pub struct MapUpdate {
    #[prost(message, repeated, tag = "1")]
    pub updates: Vec<MapNestedUpdate>,
    #[prost(message, repeated, tag = "2")]
    pub removed_keys: Vec<MapKey>,
}

#[derive(Clone, PartialEq, Message)]
pub struct MapEntry {
    #[prost(message, required, tag = "1")]
    pub key: MapKey,
    #[prost(message, required, tag = "2")]
    pub value: ReadObjectResp,
}

#[derive(Clone, PartialEq, Message)]
pub struct MapValue {
    #[prost(message, repeated, tag = "1")]
    pub entries: Vec<MapEntry>,
}

/// Exactly one field is set: the one of the object's type, or the reset.
#[derive(Clone, PartialEq, Message)]
pub struct UpdateOperation {
    #[prost(message, optional, tag = "1")]
    pub counter: Option<CounterUpdate>,
    #[prost(message, optional, tag = "2")]
    pub set: Option<SetUpdate>,
    #[prost(message, optional, tag = "3")]
    pub register: Option<RegisterUpdate>,
    #[prost(message, optional, tag = "5")]
    pub map: Option<MapUpdate>,
    #[prost(message, optional, tag = "6")]
    pub reset: Option<Reset>,
    #[prost(message, optional, tag = "7")]
    pub flag: Option<FlagUpdate>,
}

/// Exactly one field is set: the one of the object's type.
#[derive(Clone, PartialEq, Message)]
pub struct ReadObjectResp {
    #[prost(message, optional, tag = "1")]
    pub counter: Option<CounterValue>,
    #[prost(message, optional, tag = "2")]
    pub set: Option<SetValue>,
    #[prost(message, optional, tag = "3")]
    pub register: Option<RegisterValue>,
    #[prost(message, optional, tag = "4")]
    pub multi_register: Option<MultiRegisterValue>,
    #[prost(message, optional, tag = "6")]
    pub map: Option<MapValue>,
    #[prost(message, optional, tag = "7")]
    pub flag: Option<FlagValue>,
}
