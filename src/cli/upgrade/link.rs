//! What the old and the new process say to each other, with descriptors that ride along.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
        SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
        sendmsg, socketpair,
    },
};
use serde::{Deserialize, Serialize};
use tokio::{io::Interest, net::UnixStream};

/// The largest message.
const MOST_BYTES: usize = 64 * 1024;

/// What is said. A later version may say more: what is not known is passed over.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "snake_case")]
pub(super) enum Word {
    /// Old to new: here is the socket of this listener.
    Socket {
        /// Its name.
        name: String,
    },
    /// Old to new: here is a file with what limits have learned.
    Learned,
    /// Old to new: that was all, begin.
    Begin,
    /// New to old: it serves.
    Ready {
        /// The names of the sockets that it serves on.
        kept: Vec<String>,
    },
    /// Old to new: you are on your own.
    Go,
    /// Something that this program does not know.
    #[serde(other)]
    Unknown,
}

/// What was said, and what rides along.
type Message = (Vec<u8>, Option<OwnedFd>);

/// One end of the conversation: a socket that keeps messages apart, whatever tokio calls it.
#[derive(Debug)]
pub(super) struct Link(UnixStream);

// === impl Link ===

impl Link {
    /// Both ends; the second is for another process. Needs a tokio runtime.
    pub(super) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Self::of(ours)?, theirs))
    }

    /// The end that `socket` is. Needs a tokio runtime.
    pub(super) fn of(socket: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        UnixStream::from_std(socket.into()).map(Self)
    }

    /// Says `word`, and hands over another handle of `riding`.
    ///
    /// # Cancel safety
    /// It was said or not, never half.
    pub(super) async fn say(&self, word: &Word, riding: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let bytes = serde_json::to_vec(word)?;
        let said = || send(self.0.as_fd(), &bytes, riding).map_err(io::Error::from);
        self.0.async_io(Interest::WRITABLE, said).await
    }

    /// The next word, and what rides along; `None` where the other side is gone.
    ///
    /// # Cancel safety
    /// None is lost.
    pub(super) async fn hear(&self) -> io::Result<Option<(Word, Option<OwnedFd>)>> {
        let heard = || receive(self.0.as_fd()).map_err(io::Error::from);
        let Some((bytes, riding)) = self.0.async_io(Interest::READABLE, heard).await? else {
            return Ok(None);
        };
        Ok(Some((serde_json::from_slice(&bytes)?, riding)))
    }
}

fn send(socket: BorrowedFd<'_>, bytes: &[u8], riding: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds = riding.as_slice();
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::NOBUFS);
    }
    let flags = SendFlags::NOSIGNAL;
    sendmsg(
        socket.as_fd(),
        &[IoSlice::new(bytes)],
        &mut ancillary,
        flags,
    )?;
    Ok(())
}

/// A message; `None` at the end of the conversation.
fn receive(socket: BorrowedFd<'_>) -> Result<Option<Message>, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = vec![0; MOST_BYTES];
    let parts = &mut [IoSliceMut::new(&mut bytes)];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(socket, parts, &mut ancillary, flags)?;
    let mut riding = None;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            riding = fds.last();
        }
    }
    if received.flags.contains(ReturnFlags::TRUNC) {
        return Err(Errno::MSGSIZE);
    }
    bytes.truncate(received.bytes);
    // No word is empty.
    Ok((received.bytes > 0).then_some((bytes, riding)))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, Write};

    use super::*;

    #[tokio::test]
    async fn words_and_what_rides_along_arrive_one_by_one() {
        let (ours, theirs) = Link::pair().unwrap();
        let theirs = Link::of(theirs).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"learned").unwrap();
        let name = "web".to_owned();
        ours.say(&Word::Socket { name }, None).await.unwrap();
        ours.say(&Word::Learned, Some(file.as_fd())).await.unwrap();
        let (word, riding) = theirs.hear().await.unwrap().unwrap();
        assert!(matches!(word, Word::Socket { name } if name == "web") && riding.is_none());
        let (word, riding) = theirs.hear().await.unwrap().unwrap();
        assert_eq!(word, Word::Learned);
        let mut same = std::fs::File::from(riding.unwrap());
        same.rewind().unwrap();
        let mut text = String::new();
        same.read_to_string(&mut text).unwrap();
        assert_eq!(text, "learned");
    }

    #[tokio::test]
    async fn a_word_of_a_later_version_is_passed_over_and_the_end_is_heard() {
        let (ours, theirs) = Link::pair().unwrap();
        let theirs = Link::of(theirs).unwrap();
        send(ours.0.as_fd(), br#"{"word":"sing","song":1}"#, None).unwrap();
        let more = br#"{"word":"ready","kept":["a"],"mood":"good"}"#;
        send(ours.0.as_fd(), more, None).unwrap();
        assert_eq!(theirs.hear().await.unwrap().unwrap().0, Word::Unknown);
        let kept = vec!["a".to_owned()];
        assert_eq!(
            theirs.hear().await.unwrap().unwrap().0,
            Word::Ready { kept }
        );
        drop(ours);
        assert!(theirs.hear().await.unwrap().is_none());
    }
}
