use std::num::NonZeroU64;

use bruit_core::Timestamp;
use bruit_rpc::RpcMessage;

use crate::{Frame, Trace};

impl Frame for RpcMessage {
    fn encoded_len(&self) -> usize {
        self.encode().len()
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Request(_) => "request",
            Self::Response(_) => "response",
            Self::Cancel(_) => "cancel",
            Self::Methods(_) => "methods",
            Self::Chunk(_) => "chunk",
            Self::Credit(_) => "credit",
        }
    }

    fn trace(&self, trace: &mut Trace) {
        let bytes = self.encode();
        trace.note(b'r', &[bytes.len() as u64]);
        trace.note_bytes(&bytes);
    }

    fn tell(&self, line: &mut String) {
        let number = |number: &NonZeroU64| format!("number {number}");
        match self {
            Self::Request(request) => {
                line.push_str(request.method.as_str());
                request.number.iter().for_each(|asked| *line += &format!(" {}", number(asked)));
            }
            Self::Response(response) => *line += &number(&response.number),
            Self::Cancel(cancelled) => *line += &number(cancelled),
            Self::Chunk(chunk) => *line += &number(&chunk.number),
            Self::Credit(credit) => *line += &number(&credit.number),
            Self::Methods(methods) => *line += &format!("{} methods", methods.len()),
        }
    }

    fn through_wire(&self, _now: Timestamp) -> Option<Self> {
        let frame = self.encode();
        let prefix_len = frame.iter().position(|byte| byte & 0x80 == 0)? + 1;
        Self::decode(frame.slice(prefix_len..)).ok().flatten()
    }
}
