use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::bail;
use libp2p::{Multiaddr, multiaddr::Protocol};

/// Relays one TCP connection to an address, each byte later by the delay, and gives the address to dial instead.
///
/// Its threads end with the connection.
pub(crate) fn relay(to: &Multiaddr, delay: Duration) -> anyhow::Result<Multiaddr> {
    let (Some(Protocol::Ip4(ip)), Some(Protocol::Tcp(port))) = (to.iter().next(), to.iter().nth(1)) else {
        bail!("{to} is no address of TCP over IPv4");
    };
    let target = SocketAddr::from((ip, port));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let own_port = listener.local_addr()?.port();
    thread::spawn(move || {
        let (near, _) = listener.accept()?;
        let far = TcpStream::connect(target)?;
        for stream in [&near, &far] {
            stream.set_nodelay(true)?;
        }
        pump(near.try_clone()?, far.try_clone()?, delay);
        pump(far, near, delay);
        Ok::<_, std::io::Error>(())
    });
    Ok(Multiaddr::from(Ipv4Addr::LOCALHOST).with(Protocol::Tcp(own_port)))
}

/// Carries one direction on two threads: one notes when bytes came, the other writes them when their time has come.
fn pump(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let (sender, waiting) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let bytes = buffer.get(..count).unwrap_or_default().to_vec();
            if sender.send((Instant::now() + delay, bytes)).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || {
        while let Ok((due, bytes)) = waiting.recv() {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}
