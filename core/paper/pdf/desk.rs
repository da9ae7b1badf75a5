//! Where things go on pages: texts, rules, boxes, from the top down.

use super::font::{Font, Ink, packed};
use pdf_writer::types::TextRenderingMode;
use pdf_writer::{Content, Filter, Finish, Name, Pdf, Rect, Ref, Str, TextStr};
use tongbao_model::Text;

/// A4, in points.
pub const WIDTH: f32 = 595.28;
const HEIGHT: f32 = 841.89;
/// Left and right.
pub const MARGIN: f32 = 40.0;
/// Where the first line begins, below the upper edge.
const TOP: f32 = 48.0;
/// Where the last line ends, below the upper edge.
const END: f32 = HEIGHT - 52.0;
/// How far lines are apart, in sizes.
const LEADING: f32 = 1.35;
const FONT: Name<'static> = Name(b"F");

/// To which side a text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Left,
    Middle,
    Right,
}

/// A text's look.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    pub size: f32,
    pub is_bold: bool,
    /// 0 is black.
    pub gray: f32,
}

impl Look {
    pub const fn plain(size: f32) -> Look {
        Look { size, is_bold: false, gray: 0.0 }
    }

    pub const fn bold(size: f32) -> Look {
        Look { size, is_bold: true, gray: 0.0 }
    }

    pub const fn pale(size: f32) -> Look {
        Look { size, is_bold: false, gray: 0.35 }
    }
}

/// The pages that were begun.
pub struct Desk<'f, 'd> {
    ink: Ink<'f, 'd>,
    pages: Vec<Content>,
    /// How far down the last page is written.
    pub down: f32,
}

impl<'f, 'd> Desk<'f, 'd> {
    pub fn new(font: &'f Font<'d>) -> Desk<'f, 'd> {
        Desk { ink: Ink::new(font), pages: Vec::new(), down: END }
    }

    pub fn begin_page(&mut self) {
        self.pages.push(Content::new());
        self.down = TOP;
    }

    /// Whether so much more goes on the page.
    pub fn has_room(&self, height: f32) -> bool {
        self.down + height <= END
    }

    pub fn width(&self, text: &str, size: f32) -> f32 {
        self.ink.font.width(text, size)
    }

    /// A line of text in a column, its upper edge at `down`.
    pub fn text(&mut self, text: &str, (left, width): (f32, f32), down: f32, side: Side, look: Look) {
        let wide = self.width(text, look.size);
        let x = match side {
            Side::Left => left,
            Side::Middle => left + (width - wide) / 2.0,
            Side::Right => left + width - wide,
        };
        let bytes = self.ink.encoded(text);
        let Some(page) = self.pages.last_mut() else { return };
        page.begin_text().set_font(FONT, look.size).set_fill_gray(look.gray);
        // One font is enough: what is bold is drawn around, too.
        let mode = if look.is_bold { TextRenderingMode::FillStroke } else { TextRenderingMode::Fill };
        page.set_text_rendering_mode(mode).set_stroke_gray(look.gray).set_line_width(look.size / 50.0);
        page.next_line(x, HEIGHT - down - look.size).show(Str(&bytes)).end_text();
    }

    /// The lines of a text that fit into a width. Breaks anywhere, as Chinese may.
    pub fn wrapped(&self, text: &str, width: f32, size: f32) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = String::new();
        for symbol in text.chars() {
            line.push(symbol);
            if self.width(&line, size) > width && line.chars().nth(1).is_some() {
                line.pop();
                lines.push(std::mem::replace(&mut line, symbol.to_string()));
            }
        }
        lines.push(line);
        lines
    }

    /// A paragraph, over pages if it must be.
    pub fn paragraph(&mut self, text: &str, (left, width): (f32, f32), look: Look) {
        for line in self.wrapped(text, width, look.size) {
            if !self.has_room(look.size * LEADING) {
                self.begin_page();
            }
            let down = self.down;
            self.text(&line, (left, width), down, Side::Left, look);
            self.down += look.size * LEADING;
        }
    }

    /// How high so many lines are.
    pub fn height(lines: usize, size: f32) -> f32 {
        f32::from(u16::try_from(lines).unwrap_or(u16::MAX)) * size * LEADING
    }

    /// A frame, filled with a gray if there is one.
    pub fn frame(&mut self, (left, width): (f32, f32), down: f32, height: f32, fill: Option<f32>) {
        let Some(page) = self.pages.last_mut() else { return };
        page.set_line_width(0.5).set_stroke_gray(0.45);
        page.rect(left, HEIGHT - down - height, width, height);
        match fill {
            Some(gray) => page.set_fill_gray(gray).fill_nonzero_and_stroke(),
            None => page.stroke(),
        };
    }

    /// The file: each page with its foot, which is made of its number and how many there are.
    pub fn finish(
        mut self,
        title: &str,
        keywords: &str,
        foot: impl Fn(usize, usize) -> String,
    ) -> Result<Vec<u8>, Text> {
        let count = self.pages.len();
        let pages = std::mem::take(&mut self.pages);
        let mut streams = Vec::with_capacity(count);
        for (number, page) in (1..).zip(pages) {
            self.pages.push(page);
            let text = foot(number, count);
            let column = (MARGIN, WIDTH - 2.0 * MARGIN);
            self.text(&text, column, HEIGHT - 36.0, Side::Middle, Look::pale(7.0));
            streams.extend(self.pages.pop().map(|page| packed(page.finish().as_slice())));
        }
        self.file(title, keywords, &streams)
    }

    fn file(&self, title: &str, keywords: &str, streams: &[Vec<u8>]) -> Result<Vec<u8>, Text> {
        let mut pdf = Pdf::new();
        let mut next = 0;
        let mut id = || {
            next += 1;
            Ref::new(next)
        };
        let [catalog, tree, info, font] = [id(), id(), id(), id()];
        let rest = [id(), id(), id(), id()];
        let places: Vec<(Ref, Ref)> = streams.iter().map(|_| (id(), id())).collect();
        pdf.catalog(catalog).pages(tree);
        let count = i32::try_from(places.len()).unwrap_or(i32::MAX);
        pdf.pages(tree).kids(places.iter().map(|(page, _)| *page)).count(count);
        for ((page, content), stream) in places.iter().zip(streams) {
            let mut one = pdf.page(*page);
            one.media_box(Rect::new(0.0, 0.0, WIDTH, HEIGHT)).parent(tree).contents(*content);
            one.resources().fonts().pair(FONT, font);
            one.finish();
            pdf.stream(*content, stream).filter(Filter::FlateDecode);
        }
        pdf.document_info(info)
            .title(TextStr(title))
            .keywords(TextStr(keywords))
            .producer(TextStr("tongbao"));
        self.ink.embed(&mut pdf, font, rest)?;
        Ok(pdf.finish())
    }
}
