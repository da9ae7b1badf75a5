//! Two files through the comparison: this thread reads them, one after the other, and a thread for each part adds up.

use std::fs::File;
use std::hash::RandomState;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use tongbao_model::Text;
use tongbao_recon::compare::{Batch, Books, Columns, Encoding, Ledger, PARTS, Read, Reader, Side};

/// Bytes that are read at once.
const BLOCK: u64 = 256 * 1024;
/// Batches of a part that may wait to be added up.
const AHEAD: usize = 4;

/// A file and how it is read.
#[derive(Debug, Clone)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// Its columns.
    pub columns: Columns,
    /// Its encoding, where it is not to be found out.
    pub encoding: Option<&'static Encoding>,
}

/// What came of it.
#[derive(Debug)]
pub struct Compared {
    /// All keys.
    pub books: Books,
    /// What was read, left and right.
    pub read: [Read; 2],
}

/// Compares two files, which have at most so many different keys.
pub fn compare(left: &Source, right: &Source, keys_max: usize) -> Result<Compared, Text> {
    let mut books = Books::new(keys_max, left.columns.currency.is_some());
    let blocks = std::fs::metadata(&left.path).map_or(0, |file| file.len() / BLOCK + 1);
    let blocks = usize::try_from(blocks).unwrap_or(usize::MAX);
    let (give_back, used) = channel();
    let read = thread::scope(|scope| {
        let (mut sends, mut running) = (Vec::with_capacity(PARTS), Vec::with_capacity(PARTS));
        for part in books.parts() {
            let (send, batches) = sync_channel(AHEAD);
            sends.push(send);
            let give_back = give_back.clone();
            running.push(scope.spawn(move || add(part, batches, &give_back, blocks)));
        }
        let read = read_both([left, right], &sends, &used);
        drop(sends);
        for one in running {
            one.join().map_err(|_| Text::new("合计线程异常结束", "a thread that adds up has ended"))??;
        }
        read
    });
    Ok(Compared { books, read: read? })
}

/// Adds a part up until all is read. The first block tells how many rows as many blocks are. The batches' memory goes back
/// to be filled again; whoever reads ends with the receiver.
fn add(
    part: &mut Ledger,
    batches: Receiver<(Side, Batch)>,
    give_back: &Sender<Batch>,
    blocks: usize,
) -> Result<(), Text> {
    for (number, (side, mut batch)) in batches.into_iter().enumerate() {
        if number == 0 {
            part.expect(batch.rows.len().saturating_mul(blocks));
        }
        part.add(side, &batch)?;
        batch.clear();
        // The last ones are not wanted back.
        let _ = give_back.send(batch);
    }
    Ok(())
}

type Sends = [SyncSender<(Side, Batch)>];

fn read_both([left, right]: [&Source; 2], sends: &Sends, used: &Receiver<Batch>) -> Result<[Read; 2], Text> {
    let hasher = RandomState::new();
    let left = read(left, Side::Left, &hasher, sends, used)?;
    Ok([left, read(right, Side::Right, &hasher, sends, used)?])
}

fn read(
    source: &Source,
    side: Side,
    hasher: &RandomState,
    sends: &Sends,
    used: &Receiver<Batch>,
) -> Result<Read, Text> {
    let shown = source.path.display();
    let about = |why: Text| Text::new(format!("{shown}：{}", why.zh), format!("{shown}: {}", why.en));
    let failed = |error: std::io::Error| {
        Text::new(format!("{shown}：无法读取（{error}）"), format!("{shown}: cannot be read ({error})"))
    };
    let mut file = File::open(&source.path).map_err(failed)?;
    let mut reader = Reader::new(source.columns.clone(), source.encoding, hasher.clone());
    let mut bytes = Vec::new();
    loop {
        let mut batches: [Batch; PARTS] = std::array::from_fn(|_| used.try_recv().unwrap_or_default());
        let count = file.by_ref().take(BLOCK).read_to_end(&mut bytes).map_err(failed)?;
        let is_last = count == 0;
        let done = reader.read(&bytes, is_last, &mut batches).map_err(about)?;
        bytes.drain(..done);
        let mut sent = sends.iter().zip(batches).map(|(send, batch)| send.send((side, batch)));
        // Nobody takes any more: why, is told by them.
        if sent.any(|sent| sent.is_err()) || is_last {
            break;
        }
    }
    reader.finish().map_err(about)
}
