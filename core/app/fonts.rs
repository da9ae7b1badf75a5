//! A font with Chinese on this machine: for PDF, which needs one and cannot count on the reader's.

use std::path::{Path, PathBuf};
use tongbao_model::Text;

/// Where Debian, Alpine and Fedora put the free fonts that will do, the best first.
const PLACES: [&str; 7] = [
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-sans-cjk-fonts/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/usr/share/fonts/wqy-zenhei/wqy-zenhei.ttc",
    "/usr/share/fonts/wenquanyi/wqy-zenhei/wqy-zenhei.ttc",
];

/// Largest file that is read.
const BYTES_MAX: u64 = 128 * 1024 * 1024;

/// A font file.
pub struct FontFile {
    path: PathBuf,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl FontFile {
    /// Why it will not do, with its name and the way out.
    pub fn refused(&self, why: &Text) -> Text {
        let path = self.path.display();
        Text::new(
            format!("字体 {path}：{}；{REMEDY_ZH}", why.zh),
            format!("font {path}: {}; {REMEDY_EN}", why.en),
        )
    }
}

const REMEDY_ZH: &str =
    "安装 Debian 软件包 fonts-noto-cjk（或 fonts-wqy-zenhei），或以 --font 指明含中文的字体文件";
const REMEDY_EN: &str = "install the Debian package fonts-noto-cjk (or fonts-wqy-zenhei), or name a font file with Chinese by --font";

/// Reads the font that is named, or the first that is installed.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn read(named: Option<&Path>) -> Result<FontFile, Text> {
    let installed = || PLACES.iter().map(Path::new).find(|path| path.is_file());
    let Some(path) = named.or_else(installed) else {
        return Err(Text::new(
            format!("本机没有中文字体：{REMEDY_ZH}"),
            format!("there is no font with Chinese here: {REMEDY_EN}"),
        ));
    };
    let unreadable = |error: &dyn std::fmt::Display| {
        Text::new(
            format!("字体 {} 无法读取：{error}", path.display()),
            format!("the font {} cannot be read: {error}", path.display()),
        )
    };
    let size = std::fs::metadata(path).map_err(|error| unreadable(&error))?.len();
    if size > BYTES_MAX {
        return Err(unreadable(&"> 128 MiB"));
    }
    let bytes = std::fs::read(path).map_err(|error| unreadable(&error))?;
    Ok(FontFile { path: path.to_owned(), bytes })
}
