//! An entry for fuzzers: an answer's whole way from bytes to values, without a connection.

use super::answer::{parse_answer, read_values};
use super::error::{Error, RequestKind};
use super::frame::Frame;
use super::object::{DataType, Object};
use super::proto::{self, Coded};

/// Takes `frame` as the answer to the request that it would answer, and says whether it fits.
///
/// For tests of decoding; whatever the frame holds, it must not panic.
#[doc(hidden)]
pub fn judge_answer(frame: &Frame) -> bool {
    fn fits<A: Coded>(kind: RequestKind, frame: &Frame) -> bool {
        parse_answer::<A>(kind, frame).is_ok()
    }
    match frame.code {
        proto::ReadObjectsResp::CODE => read(frame).is_ok(),
        proto::StaticReadObjectsResp::CODE => {
            let kind = RequestKind::StaticRead;
            parse_answer::<proto::StaticReadObjectsResp>(kind, frame)
                .and_then(|answer| values(answer.objects))
                .is_ok()
        }
        proto::OperationResp::CODE => fits::<proto::OperationResp>(RequestKind::Update, frame),
        proto::StartTransactionResp::CODE => {
            fits::<proto::StartTransactionResp>(RequestKind::Start, frame)
        }
        proto::CreateDcResp::CODE => fits::<proto::CreateDcResp>(RequestKind::CreateDc, frame),
        proto::ConnectToDcsResp::CODE => {
            fits::<proto::ConnectToDcsResp>(RequestKind::ConnectToDcs, frame)
        }
        proto::GetConnectionDescriptorResp::CODE => {
            let kind = RequestKind::ConnectionDescriptor;
            fits::<proto::GetConnectionDescriptorResp>(kind, frame)
        }
        _ => fits::<proto::CommitResp>(RequestKind::Commit, frame),
    }
}

fn read(frame: &Frame) -> Result<(), Error> {
    values(parse_answer(RequestKind::Read, frame)?)
}

/// Takes the values for those of whichever types fit.
fn values(answer: proto::ReadObjectsResp) -> Result<(), Error> {
    let kind = RequestKind::Read;
    let mut result = Ok(());
    for data_type in DataType::ALL {
        let objects = vec![Object::new(data_type, "", ""); answer.objects.len()];
        match read_values(kind, &objects, answer.clone()) {
            Ok(_) => return Ok(()),
            Err(error) => result = Err(error),
        }
    }
    result
}
