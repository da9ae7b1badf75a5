//! A font of the machine's: how wide a text is, its glyphs, and the part of it that goes into the file.

use flate2::Compression;
use flate2::write::ZlibEncoder;
use pdf_writer::types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap};
use pdf_writer::{Filter, Finish, Name, Pdf, Rect, Ref, Str};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use subsetter::GlyphRemapper;
use tongbao_model::Text;
use ttf_parser::{Face, GlyphId, Tag, name_id};

/// Characters that every statement has. There are fonts with Chinese and without digits.
const NEEDED: &str = "客户对账单期初余额发票收款调整合计壹贰叁元角分整：（）。□0123456789abcdefCNY.,+-=/";

/// What the file calls the font. The letters in front say that it is a part.
const NAME: Name<'static> = Name(b"TONGBA+Statement");

const INFO: SystemInfo<'static> =
    SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };

/// A font with Chinese.
pub struct Font<'d> {
    data: &'d [u8],
    index: u32,
    face: Face<'d>,
}

impl<'d> Font<'d> {
    /// Reads a font file; of a collection the face for simplified Chinese, otherwise the first.
    ///
    /// # Errors
    /// It is no font, or lacks Chinese or digits.
    pub fn read(data: &'d [u8]) -> Result<Font<'d>, Text> {
        let count = ttf_parser::fonts_in_collection(data).unwrap_or(1);
        let faces = (0..count).filter_map(|index| Some((index, Face::parse(data, index).ok()?)));
        let mut faces: Vec<(u32, Face<'d>)> = faces.collect();
        let simplified = faces.iter().position(|(_, face)| is_simplified(face)).unwrap_or(0);
        if faces.is_empty() {
            return Err(Text::new("不是字体文件（TTF、OTF、TTC）", "this is no font file (TTF, OTF, TTC)"));
        }
        let (index, face) = faces.swap_remove(simplified);
        if NEEDED.chars().any(|symbol| face.glyph_index(symbol).is_none()) {
            return Err(Text::new("字体缺少中文或数字", "the font lacks Chinese characters or digits"));
        }
        Ok(Font { data, index, face })
    }

    /// `None`: the font does not have it.
    fn known(&self, symbol: char) -> Option<GlyphId> {
        self.face.glyph_index(if symbol.is_control() { ' ' } else { symbol })
    }

    fn glyph(&self, symbol: char) -> GlyphId {
        self.known(symbol).unwrap_or_default()
    }

    /// Thousandths of the size.
    fn advance(&self, glyph: GlyphId) -> f32 {
        self.scaled(self.face.glyph_hor_advance(glyph).unwrap_or(0))
    }

    fn scaled(&self, units: impl Into<f32>) -> f32 {
        units.into() * 1000.0 / f32::from(self.face.units_per_em().max(1))
    }

    /// How wide a text is.
    pub fn width(&self, text: &str, size: f32) -> f32 {
        text.chars().map(|symbol| self.advance(self.glyph(symbol))).sum::<f32>() * size / 1000.0
    }
}

fn is_simplified(face: &Face<'_>) -> bool {
    let names = face.names().into_iter().filter(|name| name.name_id == name_id::FULL_NAME);
    names.filter_map(|name| name.to_string()).any(|name| name.contains(" SC"))
}

/// The glyphs that a file uses.
pub struct Ink<'f, 'd> {
    /// Where they are from.
    pub font: &'f Font<'d>,
    remapper: GlyphRemapper,
    used: BTreeMap<u16, (char, f32)>,
    missing: BTreeSet<char>,
}

impl<'f, 'd> Ink<'f, 'd> {
    /// None yet.
    pub fn new(font: &'f Font<'d>) -> Ink<'f, 'd> {
        Ink { font, remapper: GlyphRemapper::new(), used: BTreeMap::new(), missing: BTreeSet::new() }
    }

    /// A text as the file has it: two bytes a glyph.
    pub fn encoded(&mut self, text: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(text.len());
        for symbol in text.chars() {
            let glyph = self.font.glyph(symbol);
            if self.font.known(symbol).is_none() {
                self.missing.insert(symbol);
            }
            let id = self.remapper.remap(glyph.0);
            self.used.entry(id).or_insert_with(|| (symbol, self.font.advance(glyph)));
            bytes.extend(id.to_be_bytes());
        }
        bytes
    }

    /// Writes the part of the font that is used, under five numbers from the first.
    ///
    /// # Errors
    /// The font cannot be taken apart, or lacks what a name is written with: a paper that is stamped has no gaps.
    pub fn embed(&self, pdf: &mut Pdf, font: Ref, rest: [Ref; 4]) -> Result<(), Text> {
        let [cid, descriptor, map, file] = rest;
        if !self.missing.is_empty() {
            let missing: String = self.missing.iter().take(20).collect();
            return Err(Text::new(
                format!("字体缺少字符：{missing}；请换一个更全的字体"),
                format!("the font lacks {missing}: take one that has more"),
            ));
        }
        let face = &self.font.face;
        let part = subsetter::subset(self.font.data, self.font.index, &self.remapper).map_err(|error| {
            Text::new(format!("字体无法嵌入：{error}"), format!("the font cannot be embedded: {error}"))
        })?;
        let outlines =
            ttf_parser::RawFace::parse(&part, 0).ok().and_then(|face| face.table(Tag::from_bytes(b"CFF ")));
        pdf.type0_font(font)
            .base_font(NAME)
            .encoding_predefined(Name(b"Identity-H"))
            .descendant_font(cid)
            .to_unicode(map);
        let mut descendant = pdf.cid_font(cid);
        let kind = if outlines.is_some() { CidFontType::Type0 } else { CidFontType::Type2 };
        descendant
            .subtype(kind)
            .base_font(NAME)
            .system_info(INFO)
            .font_descriptor(descriptor)
            .default_width(0.0);
        if outlines.is_none() {
            descendant.cid_to_gid_map_predefined(Name(b"Identity"));
        }
        let mut widths = descendant.widths();
        for (id, (_, width)) in &self.used {
            widths.same(*id, *id, *width);
        }
        widths.finish();
        descendant.finish();
        let bounds = face.global_bounding_box();
        let [left, bottom, right, top] =
            [bounds.x_min, bounds.y_min, bounds.x_max, bounds.y_max].map(|units| self.font.scaled(units));
        let (ascent, descent) = (self.font.scaled(face.ascender()), self.font.scaled(face.descender()));
        let mut about = pdf.font_descriptor(descriptor);
        about
            .name(NAME)
            .flags(FontFlags::SYMBOLIC)
            .bbox(Rect::new(left, bottom, right, top))
            .italic_angle(0.0);
        about.ascent(ascent).descent(descent).cap_height(ascent).stem_v(80.0);
        if outlines.is_some() {
            about.font_file3(file)
        } else {
            about.font_file2(file)
        };
        about.finish();
        let mut unicode = UnicodeCmap::new(Name(b"Statement"), INFO);
        for (id, (symbol, _)) in &self.used {
            unicode.pair(*id, *symbol);
        }
        pdf.cmap(map, unicode.finish().as_slice());
        let packed = packed(outlines.unwrap_or(&part));
        let mut stream = pdf.stream(file, &packed);
        stream.filter(Filter::FlateDecode);
        if outlines.is_some() {
            stream.pair(Name(b"Subtype"), Name(b"CIDFontType0C"));
        }
        Ok(())
    }
}

/// Compressed as PDF has it.
pub fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}
