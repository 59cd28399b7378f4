//! Frames as Autobahn's suite has them, one by one, from either side.

use tokio::io::AsyncWriteExt;

use crate::support::{Ends, Relay, frame, masked, read_frame};

/// What must come of a case.
enum Want {
    /// Every byte arrives at the other end.
    Passes,
    /// Nothing of the last frame arrives, and whoever sent it is closed with this code.
    Closes(u16),
}

use Want::{Closes, Passes};

/// The frames of a case: first byte, payload; the last is the one in question.
type Case = (&'static str, Vec<(u8, Vec<u8>)>, Want);

fn cases() -> Vec<Case> {
    let bytes = |length: usize| vec![b'*'; length];
    let code = |code: u16| code.to_be_bytes().to_vec();
    vec![
        ("an empty text", vec![(0x81, bytes(0))], Passes),
        ("text of 125", vec![(0x81, bytes(125))], Passes),
        ("text of 126", vec![(0x81, bytes(126))], Passes),
        ("binary of 65535", vec![(0x82, bytes(65_535))], Passes),
        ("binary of 65536", vec![(0x82, bytes(65_536))], Passes),
        ("the largest binary", vec![(0x82, bytes(100_000))], Passes),
        ("a larger one", vec![(0x82, bytes(100_001))], Closes(1009)),
        (
            "a larger one in pieces",
            vec![(0x02, bytes(60_000)), (0x00, bytes(30_000)), (0x80, bytes(10_001))],
            Closes(1009),
        ),
        ("text that is not UTF-8", vec![(0x81, vec![0xc3, 0x28, 0xff])], Passes),
        ("a character cut in two frames", vec![(0x01, vec![0xce]), (0x80, vec![0xba])], Passes),
        ("fragments", vec![(0x01, bytes(3)), (0x00, bytes(0)), (0x00, bytes(300)), (0x80, bytes(3))], Passes),
        ("a ping among fragments", vec![(0x02, bytes(3)), (0x89, bytes(125)), (0x80, bytes(3))], Passes),
        ("a pong that nobody asked for", vec![(0x8a, bytes(5))], Passes),
        ("an empty ping", vec![(0x89, bytes(0))], Passes),
        ("a ping of 126", vec![(0x89, bytes(126))], Closes(1002)),
        ("a fragmented ping", vec![(0x09, bytes(1))], Closes(1002)),
        ("a fragmented close", vec![(0x08, code(1000))], Closes(1002)),
        ("a close of 126", vec![(0x88, bytes(126))], Closes(1002)),
        ("a close with half a code", vec![(0x88, bytes(1))], Closes(1002)),
        ("the first reserved bit", vec![(0xc1, bytes(1))], Closes(1002)),
        ("the second reserved bit", vec![(0xa1, bytes(1))], Closes(1002)),
        ("the third reserved bit", vec![(0x91, bytes(1))], Closes(1002)),
        ("a reserved bit of a ping", vec![(0xc9, bytes(1))], Closes(1002)),
        ("opcode 3", vec![(0x83, bytes(0))], Closes(1002)),
        ("opcode 7", vec![(0x87, bytes(1))], Closes(1002)),
        ("opcode 11", vec![(0x8b, bytes(0))], Closes(1002)),
        ("opcode 15", vec![(0x8f, bytes(1))], Closes(1002)),
        ("a continuation of nothing", vec![(0x80, bytes(1))], Closes(1002)),
        ("a text within a text", vec![(0x01, bytes(1)), (0x81, bytes(1))], Closes(1002)),
        ("a close without a code", vec![(0x88, bytes(0))], Passes),
        ("close 1000", vec![(0x88, code(1000))], Passes),
        ("close 3000 with a word", vec![(0x88, [code(3000), bytes(123)].concat())], Passes),
        // Which codes may be sent is for the other end to judge.
        ("close 1005", vec![(0x88, code(1005))], Passes),
        ("close 999", vec![(0x88, code(999))], Passes),
    ]
}

const LARGEST: (&str, &str) = ("FAL_RELAY_REALTIME__MAX_MESSAGE_BYTES", "100000");

async fn walk(from_client: bool) {
    let (fal, mut sockets) = Ends::fal(&[]).await;
    let relay = Relay::with(&fal.base(), &[LARGEST]);
    for (name, frames, want) in cases() {
        let mut ends = Ends::open(&relay, "/run/a/b/realtime", &relay.key, &mut sockets).await;
        let built: Vec<Vec<u8>> = frames
            .iter()
            .map(
                |(first, payload)| if from_client { masked(*first, payload) } else { frame(*first, payload) },
            )
            .collect();
        let (from, to) = match from_client {
            true => (&mut ends.client, &mut ends.fal),
            false => (&mut ends.fal, &mut ends.client),
        };
        let bytes = built.concat();
        let (arriving, arrived) = (to, frames.iter().enumerate());
        let last = frames.len() - 1;
        let sending = async {
            // In pieces that end within headers.
            for piece in bytes.chunks(if bytes.len() > 1000 { 8191 } else { 3 }) {
                if from.write_all(piece).await.is_err() {
                    break;
                }
            }
            from
        };
        let receiving = async {
            for (nth, (first, payload)) in arrived {
                if nth < last || matches!(want, Passes) {
                    let got = read_frame(arriving).await;
                    assert_eq!(
                        got.as_ref(),
                        Some(&(*first, payload.clone())),
                        "{name} from_client={from_client}"
                    );
                }
            }
            arriving
        };
        let (from, to) = tokio::join!(sending, receiving);
        if let Closes(code) = want {
            let (first, payload) = read_frame(from).await.unwrap_or_else(|| panic!("{name}: no close"));
            assert_eq!(
                (first, &payload[..2]),
                (0x88, &code.to_be_bytes()[..]),
                "{name} from_client={from_client}"
            );
            let (first, _) =
                read_frame(to).await.unwrap_or_else(|| panic!("{name}: no close to the other end"));
            assert_eq!(first, 0x88, "{name}");
            assert_eq!(read_frame(to).await, None, "{name}");
        }
    }
}

#[tokio::test]
async fn frames_from_clients_pass_or_are_refused() {
    walk(true).await;
}

#[tokio::test]
async fn frames_from_fal_pass_or_are_refused() {
    walk(false).await;
}

#[tokio::test]
async fn a_frame_is_masked_by_a_client_and_by_nobody_else() {
    let (fal, mut sockets) = Ends::fal(&[]).await;
    let relay = Relay::before(&fal.base());
    let mut ends = Ends::open(&relay, "/run/a/b/realtime", &relay.key, &mut sockets).await;
    ends.client.write_all(&frame(0x82, b"open")).await.unwrap();
    let (first, payload) = read_frame(&mut ends.client).await.unwrap();
    assert_eq!((first, &payload[..2]), (0x88, &1002_u16.to_be_bytes()[..]));
    let mut ends = Ends::open(&relay, "/run/a/b/realtime", &relay.key, &mut sockets).await;
    ends.fal.write_all(&masked(0x82, b"hidden")).await.unwrap();
    let (first, payload) = read_frame(&mut ends.fal).await.unwrap();
    assert_eq!((first, &payload[..2]), (0x88, &1002_u16.to_be_bytes()[..]));
    // It is no fault of the client's.
    let (first, payload) = read_frame(&mut ends.client).await.unwrap();
    assert_eq!((first, &payload[..2]), (0x88, &1011_u16.to_be_bytes()[..]));
}
