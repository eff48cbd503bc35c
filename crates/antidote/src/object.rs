//! What a transaction reads and writes: replicated objects, their updates and their values.

use super::proto;

/// The replicated data types that can be reached over the protocol.
///
/// The bounded counter is missing on purpose: the server cannot answer a read of one.
/// A grow-only set is an [`OrSet`](DataType::OrSet) that nobody removes from.
/// One key has to be used with one type only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DataType {
    /// A counter that is incremented and decremented.
    Counter,
    /// A counter that can be reset as well.
    FatCounter,
    /// A set in which an add wins over a concurrent remove.
    OrSet,
    /// A set in which a remove wins over a concurrent add.
    RwSet,
    /// A register that keeps the last written value, by timestamp.
    LwwRegister,
    /// A register that keeps all values written concurrently.
    MvRegister,
    /// A flag in which enabling wins over concurrent disabling.
    EnableWinsFlag,
    /// A flag in which disabling wins over concurrent enabling.
    DisableWinsFlag,
    /// A map whose keys are never removed.
    GrowMap,
    /// A map whose keys can be removed.
    RemovableMap,
}

impl DataType {
    /// Every type, in the order of the protocol's numbers.
    pub const ALL: [DataType; 10] = [
        DataType::Counter,
        DataType::OrSet,
        DataType::LwwRegister,
        DataType::MvRegister,
        DataType::GrowMap,
        DataType::RwSet,
        DataType::RemovableMap,
        DataType::FatCounter,
        DataType::EnableWinsFlag,
        DataType::DisableWinsFlag,
    ];

    pub(crate) fn number(self) -> i32 {
        match self {
            DataType::Counter => 3,
            DataType::OrSet => 4,
            DataType::LwwRegister => 5,
            DataType::MvRegister => 6,
            DataType::GrowMap => 8,
            DataType::RwSet => 10,
            DataType::RemovableMap => 11,
            DataType::FatCounter => 12,
            DataType::EnableWinsFlag => 13,
            DataType::DisableWinsFlag => 14,
        }
    }

    pub(crate) fn from_number(number: i32) -> Option<Self> {
        DataType::ALL.into_iter().find(|candidate| candidate.number() == number)
    }
}

/// An object of the database: a key of one type in a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Object {
    /// How its values merge.
    pub data_type: DataType,
    /// The namespace of the key.
    pub bucket: Vec<u8>,
    /// Its name within the bucket.
    pub key: Vec<u8>,
}

impl Object {
    /// The object `key` of `bucket`, used with `data_type`.
    pub fn new(data_type: DataType, bucket: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Object {
        Object { data_type, bucket: bucket.into(), key: key.into() }
    }

    pub(crate) fn to_proto(&self) -> proto::BoundObject {
        proto::BoundObject {
            key: self.key.clone(),
            data_type: self.data_type.number(),
            bucket: self.bucket.clone(),
        }
    }
}

/// An object inside of a map.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MapKey {
    /// How its values merge.
    pub data_type: DataType,
    /// Its name within the map.
    pub key: Vec<u8>,
}

impl MapKey {
    /// The entry `key` of a map, used with `data_type`.
    pub fn new(data_type: DataType, key: impl Into<Vec<u8>>) -> MapKey {
        MapKey { data_type, key: key.into() }
    }

    fn to_proto(&self) -> proto::MapKey {
        proto::MapKey { key: self.key.clone(), data_type: self.data_type.number() }
    }
}

/// One change of one object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Update {
    /// Adds this amount, which may be negative, to a counter. What is read is cut to 32 bits.
    Increment(i64),
    /// Adds these elements to a set.
    Add(Vec<Vec<u8>>),
    /// Removes these elements, as far as the transaction sees them, from a set.
    Remove(Vec<Vec<u8>>),
    /// Gives a register this value.
    Assign(Vec<u8>),
    /// Enables or disables a flag.
    Flag(bool),
    /// Changes entries of a map, and removes entries where the map's type can.
    Map {
        /// The entries to change, and how.
        updates: Vec<(MapKey, Update)>,
        /// The entries to remove.
        remove: Vec<MapKey>,
    },
    /// Takes back everything that the transaction sees of the object.
    Reset,
}

impl Update {
    /// Adds one element to a set.
    pub fn add(element: impl Into<Vec<u8>>) -> Update {
        Update::Add(vec![element.into()])
    }

    /// Removes one element from a set.
    pub fn remove(element: impl Into<Vec<u8>>) -> Update {
        Update::Remove(vec![element.into()])
    }

    /// Gives a register this value.
    pub fn assign(value: impl Into<Vec<u8>>) -> Update {
        Update::Assign(value.into())
    }

    /// Whether objects of `data_type` know this change, nested changes included.
    ///
    /// The server closes the connection, or worse, on one that they do not know.
    pub fn fits(&self, data_type: DataType) -> bool {
        use DataType as T;
        match self {
            Update::Increment(_) => matches!(data_type, T::Counter | T::FatCounter),
            Update::Add(elements) | Update::Remove(elements) => {
                !elements.is_empty() && matches!(data_type, T::OrSet | T::RwSet)
            }
            Update::Assign(_) => matches!(data_type, T::LwwRegister | T::MvRegister),
            Update::Flag(_) => matches!(data_type, T::EnableWinsFlag | T::DisableWinsFlag),
            Update::Map { updates, remove } => {
                let map =
                    data_type == T::RemovableMap || (data_type == T::GrowMap && remove.is_empty());
                map && updates.iter().all(|(key, update)| update.fits(key.data_type))
            }
            Update::Reset => !matches!(data_type, T::Counter | T::LwwRegister | T::GrowMap),
        }
    }

    pub(crate) fn to_proto(&self) -> proto::UpdateOperation {
        let mut operation = proto::UpdateOperation::default();
        match self {
            Update::Increment(amount) => {
                operation.counter = Some(proto::CounterUpdate { inc: Some(*amount) });
            }
            Update::Add(elements) => {
                operation.set = Some(proto::SetUpdate {
                    operation: proto::SET_ADD,
                    adds: elements.clone(),
                    removes: Vec::new(),
                });
            }
            Update::Remove(elements) => {
                operation.set = Some(proto::SetUpdate {
                    operation: proto::SET_REMOVE,
                    adds: Vec::new(),
                    removes: elements.clone(),
                });
            }
            Update::Assign(value) => {
                operation.register = Some(proto::RegisterUpdate { value: value.clone() });
            }
            Update::Flag(value) => operation.flag = Some(proto::FlagUpdate { value: *value }),
            Update::Map { updates, remove } => {
                operation.map = Some(proto::MapUpdate {
                    updates: updates
                        .iter()
                        .map(|(key, update)| proto::MapNestedUpdate {
                            key: key.to_proto(),
                            update: update.to_proto(),
                        })
                        .collect(),
                    removed_keys: remove.iter().map(MapKey::to_proto).collect(),
                });
            }
            Update::Reset => operation.reset = Some(proto::Reset {}),
        }
        operation
    }
}

/// What a read found. An object that no client wrote has its type's empty value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Value {
    /// Of both kinds of counter.
    Counter(i32),
    /// Of both kinds of set, in the server's order and with the duplicates it may have sent.
    Set(Vec<Vec<u8>>),
    /// Of a register that keeps one value.
    Register(Vec<u8>),
    /// Of a register that keeps concurrent values.
    Registers(Vec<Vec<u8>>),
    /// Of both kinds of flag.
    Flag(bool),
    /// Of both kinds of map, in the server's order.
    Map(Vec<(MapKey, Value)>),
}

impl Value {
    /// Takes the value that an object of `data_type` must have out of an answer.
    pub(crate) fn from_proto(
        answer: proto::ReadObjectResp,
        data_type: DataType,
    ) -> Result<Value, String> {
        use DataType as T;
        let value = match data_type {
            T::Counter | T::FatCounter => answer.counter.map(|v| Value::Counter(v.value)),
            T::OrSet | T::RwSet => answer.set.map(|v| Value::Set(v.elements)),
            T::LwwRegister => answer.register.map(|v| Value::Register(v.value)),
            T::MvRegister => answer.multi_register.map(|v| Value::Registers(v.values)),
            T::EnableWinsFlag | T::DisableWinsFlag => answer.flag.map(|v| Value::Flag(v.value)),
            T::GrowMap | T::RemovableMap => match answer.map {
                Some(map) => Some(Value::Map(
                    map.entries.into_iter().map(entry_from_proto).collect::<Result<_, _>>()?,
                )),
                None => None,
            },
        };
        value.ok_or_else(|| format!("no value for an object of type {data_type:?}"))
    }
}

fn entry_from_proto(entry: proto::MapEntry) -> Result<(MapKey, Value), String> {
    let number = entry.key.data_type;
    let data_type = DataType::from_number(number)
        .ok_or_else(|| format!("a map entry of the unknown type {number}"))?;
    let value = Value::from_proto(entry.value, data_type)?;
    Ok((MapKey { data_type, key: entry.key.key }, value))
}
