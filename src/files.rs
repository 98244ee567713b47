//! The door of the file system: the only file that reads files, which hold certificates, keys and tokens.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::time::SystemTime;

use zeroize::Zeroizing;

/// The most that a file may hold. Bundles of trusted certificates have some hundred kilobytes.
const SIZE_MAX: u64 = 4 * 1024 * 1024;

/// The content of a file, wiped when dropped. The files are local and small, so that reading them does not wait.
#[allow(clippy::disallowed_methods, reason = "this file is the door of the file system")]
pub fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len().min(SIZE_MAX);
    // A buffer that grew would leave what it held behind, unwiped.
    let mut content = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or_default() + 1));
    file.take(SIZE_MAX + 1).read_to_end(&mut content)?;
    if content.len() as u64 > SIZE_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is too large"));
    }
    Ok(content)
}

/// What changes when a file is written, or when something comes into a directory or leaves it.
pub type Stamp = Option<(SystemTime, u64)>;

/// The stamp of a file or a directory; `None` if there is none.
pub fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// What keeps a file from being read, without its path.
pub fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "this process may not read it".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        kind => kind.to_string(),
    }
}
