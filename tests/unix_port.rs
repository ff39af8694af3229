//! Frames through Unix datagram sockets, whatever happens to the far side.

use std::io::ErrorKind;
use std::os::unix::net::{UnixDatagram, UnixListener};

use transload::io::unix::UnixPort;
use transload::io::{Pool, Port, Sent};
use transload_encaps::{Frame, HEADROOM};

const CHUNK: usize = 4096;

fn arena() -> Vec<u8> {
    vec![0; CHUNK * 64]
}

fn received(port: &mut UnixPort, pool: &mut Pool<'_>) -> Vec<Vec<u8>> {
    let mut burst = Vec::new();
    // The pool's lifetime is the arena's, so the frames are put back before it is looked at again.
    port.rx_burst(pool, &mut burst, 64).expect("the port works");
    burst
        .into_iter()
        .map(|frame| {
            assert_eq!(frame.headroom(), HEADROOM);
            let bytes = frame.bytes().to_vec();
            pool.put(frame);
            bytes
        })
        .collect()
}

fn send(port: &mut UnixPort, pool: &mut Pool<'_>, bytes: &[u8]) -> Sent {
    let mut frame: Frame<'_> = pool.take(HEADROOM).expect("a chunk");
    assert!(frame.fill(HEADROOM, bytes));
    let mut frames = vec![frame];
    let free = pool.free();
    let sent = port.tx_burst(pool, &mut frames);
    assert_eq!((frames.len(), pool.free()), (0, free + 1), "the chunk came back");
    sent
}

#[test]
fn two_ports_that_name_each_other_exchange_frames() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let (mut memory_a, mut memory_b) = (arena(), arena());
    let (mut pool_a, mut pool_b) = (Pool::new(&mut memory_a, CHUNK), Pool::new(&mut memory_b, CHUNK));
    let mut left = UnixPort::bind(&a, Some(&b)).unwrap();

    // The far side may come later.
    assert_eq!(send(&mut left, &mut pool_a, &[1; 60]), Sent { down: 1, ..Sent::default() });
    let mut right = UnixPort::bind(&b, Some(&a)).unwrap();
    assert_eq!(send(&mut left, &mut pool_a, &[2; 60]), Sent { frames: 1, bytes: 60, ..Sent::default() });
    assert_eq!(received(&mut right, &mut pool_b), [vec![2; 60]]);
    assert_eq!(send(&mut right, &mut pool_b, &[3; 1514]).frames, 1);
    assert_eq!(received(&mut left, &mut pool_a), [vec![3; 1514]]);
    assert_eq!(received(&mut left, &mut pool_a), Vec::<Vec<u8>>::new());
}

#[test]
fn without_a_remote_frames_go_to_the_last_sender() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = dir.path().join("gw");
    let mut memory = arena();
    let mut pool = Pool::new(&mut memory, CHUNK);
    let mut port = UnixPort::bind(&gateway, None).unwrap();
    let mut second_worker = port.sender();
    assert_eq!(send(&mut port, &mut pool, &[1; 60]).down, 1, "nobody has sent yet");

    for name in ["one", "two"] {
        let host = UnixDatagram::bind(dir.path().join(name)).unwrap();
        host.send_to(&[9; 64], &gateway).unwrap();
        assert_eq!(received(&mut port, &mut pool), [vec![9; 64]]);
        assert_eq!(send(&mut second_worker, &mut pool, name.as_bytes()).frames, 1);
        let mut answer = [0; 16];
        let len = host.recv(&mut answer).unwrap();
        assert_eq!(&answer[..len], name.as_bytes());
    }
}

#[test]
fn a_far_side_that_dies_takes_its_frames_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let mut memory = arena();
    let mut pool = Pool::new(&mut memory, CHUNK);
    let mut port = UnixPort::bind(&a, Some(&b)).unwrap();
    let host = UnixDatagram::bind(&b).unwrap();
    assert_eq!(send(&mut port, &mut pool, &[1; 60]).frames, 1);

    drop(host);
    assert_eq!(send(&mut port, &mut pool, &[1; 60]).down, 1, "refused: the socket file is still there");
    std::fs::remove_file(&b).unwrap();
    assert_eq!(send(&mut port, &mut pool, &[1; 60]).down, 1, "no such file");
    assert!(received(&mut port, &mut pool).is_empty());

    let host = UnixDatagram::bind(&b).unwrap();
    assert_eq!(send(&mut port, &mut pool, &[1; 60]).frames, 1, "it came back");
    drop(host);
}

#[test]
fn a_full_queue_is_busy_and_not_down() {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    let mut memory = arena();
    let mut pool = Pool::new(&mut memory, CHUNK);
    let mut port = UnixPort::connected(ours).unwrap();
    let sent = (0..100_000).map(|_| send(&mut port, &mut pool, &[1; 60])).find(|sent| sent.frames == 0);
    assert_eq!(sent, Some(Sent { busy: 1, ..Sent::default() }));

    theirs.recv(&mut [0; 100]).unwrap();
    assert_eq!(send(&mut port, &mut pool, &[1; 60]).frames, 1);
}

#[test]
fn a_datagram_longer_than_a_chunk_is_dropped_and_counted() {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    let mut memory = arena();
    let mut pool = Pool::new(&mut memory, CHUNK);
    let mut port = UnixPort::connected(ours).unwrap();
    theirs.send(&[7; CHUNK]).unwrap();
    theirs.send(&[8; 60]).unwrap();
    assert_eq!(received(&mut port, &mut pool), [vec![8; 60]]);
    assert_eq!((port.kernel_drops(), pool.free()), (1, 64));
}

#[test]
fn the_socket_file_goes_with_the_last_worker() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("port");
    let first = UnixPort::bind(&path, None).unwrap();
    let second = first.sender();
    drop(first);
    assert!(path.exists());
    drop(second);
    assert!(!path.exists());
}

#[test]
fn a_file_left_by_a_dead_process_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("port");
    // Rust's own socket leaves its file behind, as a killed process does.
    drop(UnixDatagram::bind(&path).unwrap());
    assert!(path.exists());
    UnixPort::bind(&path, None).unwrap();
}

#[test]
fn a_socket_in_use_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("port");
    let held = UnixPort::bind(&path, None).unwrap();
    let error = UnixPort::bind(&path, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert_eq!(held.local(), Some(path.as_path()));

    let stream = dir.path().join("stream");
    let _listener = UnixListener::bind(&stream).unwrap();
    assert_eq!(UnixPort::bind(&stream, None).unwrap_err().kind(), ErrorKind::AddrInUse);
}

#[test]
fn a_file_that_is_no_socket_is_never_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    std::fs::write(&path, "mine").unwrap();
    assert_eq!(UnixPort::bind(&path, None).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}
