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

    fn through_wire(&self, _now: Timestamp) -> Option<Self> {
        let frame = self.encode();
        let prefix_len = frame.iter().position(|byte| byte & 0x80 == 0)? + 1;
        Self::decode(frame.slice(prefix_len..)).ok().flatten()
    }
}
