//! Between the protocol's messages and what a client means: requests checked, answers judged.

use prost::Message;

use super::error::{Error, Refusal, RequestKind};
use super::frame::Frame;
use super::object::{Object, Update, Value};
use super::proto::{self, Coded};

/// The longest part of a server's message that is kept: it sends whole stack traces.
const MESSAGE_CHARS_MAX: usize = 300;

/// Decodes the answer to a request: the message that belongs to it, or an error message.
pub(super) fn parse_answer<A: Coded>(kind: RequestKind, frame: &Frame) -> Result<A, Error> {
    let decoded = |error: prost::DecodeError| malformed(kind, &error.to_string());
    if frame.code == A::CODE {
        return A::decode(frame.body.as_slice()).map_err(decoded);
    }
    if frame.code == proto::ErrorResp::CODE {
        let error = proto::ErrorResp::decode(frame.body.as_slice()).map_err(decoded)?;
        let words = String::from_utf8_lossy(&error.message);
        let message = words.trim().chars().take(MESSAGE_CHARS_MAX).collect();
        return Err(Error::Refused {
            request: kind,
            reason: Refusal::from_number(error.code),
            message,
        });
    }
    Err(malformed(kind, &format!("message code {} where {} belongs", frame.code, A::CODE)))
}

/// An error unless the answer says that the request succeeded.
pub(super) fn succeeded(
    kind: RequestKind,
    success: bool,
    error_code: Option<u32>,
) -> Result<(), Error> {
    if success {
        return Ok(());
    }
    let reason = Refusal::from_number(error_code.unwrap_or(0));
    Err(Error::Refused { request: kind, reason, message: String::new() })
}

pub(super) fn malformed(kind: RequestKind, what: &str) -> Error {
    Error::Malformed { request: kind, what: what.to_string() }
}

pub(super) fn check_objects(kind: RequestKind, objects: &[Object]) -> Result<(), Error> {
    if objects.is_empty() { Err(Error::Empty { request: kind }) } else { Ok(()) }
}

/// The messages for `updates`, if they make sense.
pub(super) fn update_messages(
    kind: RequestKind,
    updates: &[(Object, Update)],
) -> Result<Vec<proto::UpdateOp>, Error> {
    if updates.is_empty() {
        return Err(Error::Empty { request: kind });
    }
    updates
        .iter()
        .map(|(object, update)| {
            if !update.fits(object.data_type) {
                return Err(Error::Unfit {
                    request: kind,
                    data_type: object.data_type,
                    update: format!("{update:?}"),
                });
            }
            Ok(proto::UpdateOp { object: object.to_proto(), operation: update.to_proto() })
        })
        .collect()
}

/// The values of `objects` out of the answer to a read of them.
pub(super) fn read_values(
    kind: RequestKind,
    objects: &[Object],
    answer: proto::ReadObjectsResp,
) -> Result<Vec<Value>, Error> {
    succeeded(kind, answer.success, answer.error_code)?;
    if answer.objects.len() != objects.len() {
        let what = format!("{} values for {} objects", answer.objects.len(), objects.len());
        return Err(malformed(kind, &what));
    }
    let values = answer.objects.into_iter().zip(objects);
    values
        .map(|(value, object)| Value::from_proto(value, object.data_type))
        .collect::<Result<_, _>>()
        .map_err(|what| malformed(kind, &what))
}
