use std::{fmt, marker::PhantomData};

use bruit_wire::{Message, limits::PAYLOAD_BYTES_MAX};
use bytes::Bytes;

use crate::{
    message::{Refusal, RefusalKind},
    method::{Method, MethodName, MethodNameError},
    options::Verdict,
};

/// A method whose requests and answers are protobuf messages: names what they are, once, for both sides.
///
/// It only translates; a call is made and answered with its bytes.
/// ```
/// use bruit_rpc::{Typed, Verdict};
///
/// // Any message that `prost` makes will do; a string and a number are messages of one field.
/// let length: Typed<String, u64> = Typed::new("length")?;
/// let request = length.encode_request(&"ada".to_owned())?; // for Engine::call, Behaviour::call, Handle::call ..
/// let asked = length.decode_request(&request)?; // what comes with Event::Request; an error is the answer to it
/// let answer = length.encode_answer(&(asked.len() as u64))?; // for Engine::answer
/// assert_eq!(length.decode_answer(&answer), Ok(3)); // an error is the verdict: held against who sent it
/// assert_eq!(length.decode_answer(&"no message".into()), Err(Verdict::Invalid));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Security
/// A message may take far more memory than its bytes: two bytes make an element of a repeated field. `Method::request_bytes_max`
/// and `response_bytes_max` bound it; for messages with repeated fields of large elements they should be small.
pub struct Typed<Q, A> {
    name: MethodName,
    messages: PhantomData<fn(Q) -> A>,
}

/// A message that no payload can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of {bytes} bytes is larger than a payload may be ({PAYLOAD_BYTES_MAX})")]
pub struct TooLargeError {
    /// How many it has.
    pub bytes: usize,
}

impl<Q, A> Typed<Q, A> {
    /// Names the method.
    pub fn new(name: &str) -> Result<Self, MethodNameError> {
        Ok(Self { name: MethodName::new(name)?, messages: PhantomData })
    }

    /// Its name.
    pub const fn name(&self) -> &MethodName {
        &self.name
    }
}

impl<Q: Message + Default, A: Message + Default> Typed<Q, A> {
    /// What there is to register, with the limits of every method; `is_idempotent` if executing it twice does no harm.
    pub fn method(&self, is_idempotent: bool) -> Method {
        Method { is_idempotent, ..Method::named(self.name.clone()) }
    }

    /// The bytes of a request.
    pub fn encode_request(&self, request: &Q) -> Result<Bytes, TooLargeError> {
        encode(request)
    }

    /// A request that came, or how to refuse it.
    pub fn decode_request(&self, payload: &Bytes) -> Result<Q, Refusal> {
        Q::decode(&payload[..]).map_err(|_| Refusal::new(RefusalKind::BadRequest, "that is no request of this method"))
    }

    /// The bytes of an answer.
    pub fn encode_answer(&self, answer: &A) -> Result<Bytes, TooLargeError> {
        encode(answer)
    }

    /// An answer that came, or the verdict on it.
    pub fn decode_answer(&self, payload: &Bytes) -> Result<A, Verdict> {
        A::decode(&payload[..]).map_err(|_| Verdict::Invalid)
    }
}

fn encode(message: &impl Message) -> Result<Bytes, TooLargeError> {
    let bytes = message.encoded_len();
    if bytes > PAYLOAD_BYTES_MAX { Err(TooLargeError { bytes }) } else { Ok(message.encode_to_vec().into()) }
}

impl<Q, A> Clone for Typed<Q, A> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), messages: PhantomData }
    }
}

impl<Q, A> fmt::Debug for Typed<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Typed").field(&self.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_as_many_bytes_as_a_payload_and_no_more() {
        let blob: Typed<Vec<u8>, ()> = Typed::new("blob").unwrap();
        // A tag and a length of three bytes stand before the content.
        for (len, fits) in
            [(PAYLOAD_BYTES_MAX - 5, true), (PAYLOAD_BYTES_MAX - 4, true), (PAYLOAD_BYTES_MAX - 3, false)]
        {
            let encoded = blob.encode_request(&vec![7; len]);
            assert_eq!(encoded.is_ok(), fits, "{len}: {:?}", encoded.map(|bytes| bytes.len()));
        }
        assert_eq!(blob.decode_request(&blob.encode_request(&vec![7; 9]).unwrap()), Ok(vec![7; 9]));
    }

    #[test]
    fn fault_what_is_no_message_is_refused_or_held_against_its_sender() {
        let length: Typed<String, u64> = Typed::new("length").unwrap();
        let cut = Bytes::from_static(b"\x0a\x05abc");
        assert_eq!(length.decode_request(&cut).unwrap_err().kind, RefusalKind::BadRequest);
        assert_eq!(length.decode_answer(&cut), Err(Verdict::Invalid));
        let method = length.method(true);
        assert_eq!((method.name.as_str(), method.is_idempotent), ("length", true));
    }
}
