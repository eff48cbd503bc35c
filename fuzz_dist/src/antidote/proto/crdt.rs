//! Messages for the values of replicated data types and for their updates.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CounterUpdate {
    #[prost(sint64, optional, tag = "1")]
    pub(crate) inc: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CounterValue {
    #[prost(sint32, required, tag = "1")]
    pub(crate) value: i32,
}

/// The operation that a [`SetUpdate`] asks for; the server looks at the list of that one only.
pub(crate) const SET_ADD: i32 = 1;
pub(crate) const SET_REMOVE: i32 = 2;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SetUpdate {
    #[prost(int32, required, tag = "1")]
    pub(crate) operation: i32,
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub(crate) adds: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub(crate) removes: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SetValue {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub(crate) elements: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RegisterUpdate {
    #[prost(bytes = "vec", required, tag = "1")]
    pub(crate) value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RegisterValue {
    #[prost(bytes = "vec", required, tag = "1")]
    pub(crate) value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MultiRegisterValue {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub(crate) values: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct FlagUpdate {
    #[prost(bool, required, tag = "1")]
    pub(crate) value: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct FlagValue {
    #[prost(bool, required, tag = "1")]
    pub(crate) value: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Reset {}

#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub(crate) struct MapKey {
    #[prost(bytes = "vec", required, tag = "1")]
    pub(crate) key: Vec<u8>,
    #[prost(int32, required, tag = "2")]
    pub(crate) data_type: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MapNestedUpdate {
    #[prost(message, required, tag = "1")]
    pub(crate) key: MapKey,
    #[prost(message, required, tag = "2")]
    pub(crate) update: UpdateOperation,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MapUpdate {
    #[prost(message, repeated, tag = "1")]
    pub(crate) updates: Vec<MapNestedUpdate>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) removed_keys: Vec<MapKey>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MapEntry {
    #[prost(message, required, tag = "1")]
    pub(crate) key: MapKey,
    #[prost(message, required, tag = "2")]
    pub(crate) value: ReadObjectResp,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MapValue {
    #[prost(message, repeated, tag = "1")]
    pub(crate) entries: Vec<MapEntry>,
}

/// Exactly one field is set: the one of the object's type, or the reset.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct UpdateOperation {
    #[prost(message, optional, tag = "1")]
    pub(crate) counter: Option<CounterUpdate>,
    #[prost(message, optional, tag = "2")]
    pub(crate) set: Option<SetUpdate>,
    #[prost(message, optional, tag = "3")]
    pub(crate) register: Option<RegisterUpdate>,
    #[prost(message, optional, tag = "5")]
    pub(crate) map: Option<MapUpdate>,
    #[prost(message, optional, tag = "6")]
    pub(crate) reset: Option<Reset>,
    #[prost(message, optional, tag = "7")]
    pub(crate) flag: Option<FlagUpdate>,
}

/// Exactly one field is set: the one of the object's type.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReadObjectResp {
    #[prost(message, optional, tag = "1")]
    pub(crate) counter: Option<CounterValue>,
    #[prost(message, optional, tag = "2")]
    pub(crate) set: Option<SetValue>,
    #[prost(message, optional, tag = "3")]
    pub(crate) register: Option<RegisterValue>,
    #[prost(message, optional, tag = "4")]
    pub(crate) multi_register: Option<MultiRegisterValue>,
    #[prost(message, optional, tag = "6")]
    pub(crate) map: Option<MapValue>,
    #[prost(message, optional, tag = "7")]
    pub(crate) flag: Option<FlagValue>,
}
