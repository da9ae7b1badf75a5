//! What is refused, and that what is written is read back.

use super::{Charset, Element, Limits, Node, XmlError, read, write};
use proptest::collection::{btree_map, vec};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};

fn get(text: &str) -> Result<Element, XmlError> {
    read(text.as_bytes(), None, None, &Limits::default())
}

fn small() -> Limits {
    Limits { bytes: 400, depth: 3, attributes: 2, text: 10, nodes: 12 }
}

fn bounded(text: &str) -> Result<Element, XmlError> {
    read(text.as_bytes(), None, None, &small())
}

#[test]
fn a_document_is_a_tree_in_order() {
    let root = get("<?xml version='1.0'?><!-- c --><a x='1' y=\"&lt;&#x4E2D;&apos;\n\">u<b/>v&amp;<![CDATA[<w>]]><?p i?><b>2</b></a>\n").unwrap();
    assert_eq!(
        (root.name.as_str(), root.attribute("x"), root.attribute("y")),
        ("a", Some("1"), Some("<中' "))
    );
    assert_eq!(root.text(), "uv&<w>");
    assert_eq!(root.named("b").map(Element::text).collect::<Vec<_>>(), ["", "2"]);
    assert_eq!((root.text_of("b").as_deref(), root.text_of("c")), (Some(""), None));
    assert!(matches!(root.children[..], [Node::Text(_), Node::Element(_), Node::Text(_), Node::Element(_)]));
    assert_eq!(get("<a>1\r\n2</a>").unwrap().text(), "1\n2");
}

#[test]
fn document_types_and_entities_are_refused() {
    let laughs =
        "<!DOCTYPE l [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;'>]><l>&c;</l>";
    assert_eq!(get(laughs), Err(XmlError::DocType));
    assert_eq!(get("<!DOCTYPE l SYSTEM 'file:///etc/passwd'><l/>"), Err(XmlError::DocType));
    assert_eq!(
        get("<?xml version='1.0'?> <!DOCTYPE l PUBLIC 'x' 'http://127.0.0.1/x'><l/>"),
        Err(XmlError::DocType)
    );
    assert_eq!(get("<l><!DOCTYPE l></l>"), Err(XmlError::DocType));
    assert_eq!(get("<!DOCTYPE l [<!ENTITY"), Err(XmlError::DocType));
    for text in
        ["<l>&nbsp;</l>", "<l a='&x;'/>", "<l>&#;</l>", "<l>&#x;</l>", "<l>&#+65;</l>", "<l>&#xZZ;</l>"]
    {
        assert_eq!(get(text), Err(XmlError::Entity), "{text}");
    }
    assert_eq!(get("<l>&#0;</l>"), Err(XmlError::Character(0)));
    assert_eq!(get("<l a='&#xFFFF;'/>"), Err(XmlError::Character(0xFFFF)));
    assert_eq!(get("<l>&#xD800;</l>"), Err(XmlError::Character(0xD800)));
}

#[test]
fn every_bound_holds() {
    assert!(bounded("<a x='1' y='2'><b><c>0123456789</c></b></a>").is_ok());
    assert_eq!(bounded(&format!("<a>{}</a>", " ".repeat(400))), Err(XmlError::Limit("bytes", 400)));
    assert_eq!(bounded("<a><b><c><d/></c></b></a>"), Err(XmlError::Limit("levels", 3)));
    assert_eq!(bounded("<a x='1' y='2' z='3'/>"), Err(XmlError::Limit("attributes", 2)));
    for text in [
        "<a>01234567890</a>",
        "<a x='01234567890'/>",
        "<a>01234<![CDATA[56789]]>0</a>",
        "<a>0123456789&lt;</a>",
    ] {
        assert_eq!(bounded(text), Err(XmlError::Limit("bytes of text", 10)), "{text}");
    }
    for many in ["<b/>", "<!---->", "<?p?>", "<b x=''/>"] {
        let text = format!("<a>{}</a>", many.repeat(12));
        assert_eq!(bounded(&text), Err(XmlError::Limit("nodes", 12)), "{many}");
    }
    // Deep enough to overflow a recursive reader's stack, were there no bound.
    assert_eq!(get(&"<a>".repeat(1_000_000)), Err(XmlError::Limit("levels", 64)));
    let many: String = (0..200).map(|index| format!(" x{index}=''")).collect();
    assert_eq!(get(&format!("<a{many}/>")), Err(XmlError::Limit("attributes", 128)));
    let huge = "x".repeat(1024 * 1024 + 1);
    assert_eq!(get(&format!("<a>{huge}</a>")), Err(XmlError::Limit("bytes of text", 1024 * 1024)));
}

#[test]
fn a_text_cut_anywhere_is_no_document() {
    let whole =
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><a x=\"1\"><b>中&amp;</b><![CDATA[ ]]><!-- c --></a>";
    assert!(get(whole).is_ok());
    for end in 0..whole.len() {
        assert!(read(&whole.as_bytes()[..end], None, None, &Limits::default()).is_err(), "cut at {end}");
    }
    assert_eq!(get("<a><b></b>"), Err(XmlError::Cut));
    assert_eq!(get("<a><b"), Err(XmlError::Cut));
    assert_eq!(get(""), Err(XmlError::Cut));
}

#[test]
fn what_is_not_well_formed_is_refused() {
    assert_eq!(get("<a x='1' x='2'/>"), Err(XmlError::DuplicateAttribute));
    assert_eq!(get("<a>\u{1}</a>"), Err(XmlError::Character(1)));
    assert_eq!(get("<1/>"), Err(XmlError::Name));
    assert_eq!(get("<a 1='x'/>"), Err(XmlError::Name));
    for text in [
        "<a></b>",
        "</a>",
        "<a/><b/>",
        "<a/>x",
        "x<a/>",
        "<a/>&lt;",
        "<a x/>",
        "<a x=1/>",
        "<a x='<'/>",
        "<a>& </a>",
        "<a/><?xml version='1.0'?>",
        "<?xml version='1.1'?><a/>",
        "<html><p>502</html>",
        "{\"a\":1}",
    ] {
        assert!(get(text).is_err(), "{text}");
    }
}

#[test]
fn charsets_come_in_the_order_of_trust() {
    let get = |bytes: &[u8], given, transport| {
        read(bytes, given, transport, &Limits::default()).map(|root| root.text())
    };
    let gbk = |text: &str| encoding_rs::GBK.encode(text).0.into_owned();
    let name = "镕基贸易";
    let plain = format!("<a>{name}</a>");
    for label in ["gb2312", "GBK", "gb18030"] {
        let text = format!("<?xml version='1.0' encoding='{label}'?>{plain}");
        // The declaration decides against the transport.
        assert_eq!(get(&gbk(&text), None, Some("text/xml; charset=utf-8")).as_deref(), Ok(name), "{label}");
    }
    assert_eq!(get(&gbk(&plain), None, Some("text/xml; charset=\"gb2312\"")).as_deref(), Ok(name));
    assert_eq!(get(&gbk(&plain), None, None).as_deref(), Ok(name), "no UTF-8, so GB18030");
    assert_eq!(get(plain.as_bytes(), None, None).as_deref(), Ok(name));
    let marked = [b"\xEF\xBB\xBF", plain.as_bytes()].concat();
    assert_eq!(get(&marked, Some(Charset::Gb18030), None).as_deref(), Ok(name), "the mark decides");
    let lies = format!("<?xml version='1.0' encoding='gb2312'?>{plain}");
    assert_eq!(get(lies.as_bytes(), Some(Charset::Utf8), None).as_deref(), Ok(name), "the setting decides");
    assert_eq!(get(&gbk(&plain), Some(Charset::Utf8), None), Err(XmlError::Undecodable("UTF-8")));
    let claimed = gbk(&format!("<?xml version='1.0' encoding='utf-8'?>{plain}"));
    assert_eq!(get(&claimed, None, None), Err(XmlError::Undecodable("UTF-8")));
    assert_eq!(get(b"<a>\xff\xff</a>", None, None), Err(XmlError::Undecodable("gb18030")));
    assert_eq!(get(b"<?xml version='1.0' encoding='utf-16'?><a/>", None, None), Err(XmlError::Charset));
    assert_eq!(get(b"\xFF\xFE<\0a\0/\0>\0", None, None), Err(XmlError::Charset));
}

#[test]
fn what_xml_cannot_hold_is_not_written() {
    let leaf = |text: &str| Element::new("a").leaf("b", text);
    assert_eq!(write(&leaf("\u{0}"), Charset::Utf8), Err(XmlError::Character(0)));
    assert_eq!(
        write(&Element::new("a").with("x", "\u{FFFE}"), Charset::Utf8),
        Err(XmlError::Character(0xFFFE))
    );
    assert_eq!(write(&Element::new("a b"), Charset::Utf8), Err(XmlError::Name));
    assert_eq!(write(&Element::new("a").with("x><y", ""), Charset::Utf8), Err(XmlError::Name));
    assert_eq!(
        write(&Element::new("a").with("x", "1").with("x", "2"), Charset::Utf8),
        Err(XmlError::DuplicateAttribute)
    );
    assert_eq!(
        write(&Element::new("\u{1100}"), Charset::Gbk),
        Err(XmlError::Name),
        "no reference stands in a name"
    );
    let deep = (0..70).fold(Element::new("a"), |inner, _| Element::new("a").child(inner));
    assert_eq!(write(&deep, Charset::Utf8), Err(XmlError::Limit("levels", 64)));
}

#[test]
fn what_a_charset_cannot_hold_becomes_a_reference() {
    let root = Element::new("a").with("n", "𠮷").leaf("b", "镕 ᄀ 😀");
    for (charset, declared, has_references) in [
        (Charset::Utf8, "utf-8", false),
        (Charset::Gb18030, "GB18030", false),
        (Charset::Gbk, "GBK", true),
        (Charset::Gb2312, "gb2312", true),
    ] {
        let bytes = write(&root, charset).unwrap();
        assert!(bytes.starts_with(format!("<?xml version=\"1.0\" encoding=\"{declared}\"?>").as_bytes()));
        assert_eq!(bytes.windows(2).any(|two| two == b"&#"), has_references, "{charset:?}");
        assert_eq!(bytes.windows(2).any(|two| two == b"\xE9\x46"), charset != Charset::Utf8, "镕 in GBK");
        assert_eq!(read(&bytes, None, None, &Limits::default()).as_ref(), Ok(&root));
        assert_eq!(Charset::of_label(declared), Some(charset));
    }
}

#[test]
fn every_character_survives_every_charset() {
    let all: String =
        ('\u{20}'..='\u{2FFFF}').filter(|one| !matches!(one, '\u{FFFE}' | '\u{FFFF}')).collect();
    let limits = Limits { text: 4 * 1024 * 1024, ..Limits::default() };
    let root = Element::new("a").leaf("b", all);
    for charset in [Charset::Utf8, Charset::Gb18030, Charset::Gbk, Charset::Gb2312] {
        let bytes = write(&root, charset).unwrap();
        assert!(read(&bytes, None, None, &limits).as_ref() == Ok(&root), "{charset:?}");
    }
}

fn texts() -> impl Strategy<Value = String> {
    let allowed = prop_oneof![
        Just('<'),
        Just('&'),
        Just(']'),
        Just('>'),
        Just('"'),
        Just('\''),
        Just('\t'),
        Just('\n'),
        Just('\r'),
        Just('镕'),
        Just('😀'),
        proptest::char::range(' ', '\u{D7FF}'),
        proptest::char::range('\u{E000}', '\u{FFFD}'),
    ];
    vec(allowed, 1..12).prop_map(|chars| chars.into_iter().collect())
}

fn trees() -> impl Strategy<Value = Element> {
    let name = "[A-Za-z_:][A-Za-z0-9_.:-]{0,6}";
    let leaf = (name, btree_map(name, texts(), 0..4)).prop_map(|(name, attributes)| Element {
        name,
        attributes: attributes.into_iter().collect(),
        children: Vec::new(),
    });
    leaf.prop_recursive(5, 40, 5, move |inner| {
        let node = prop_oneof![inner.clone().prop_map(Node::Element), texts().prop_map(Node::Text)];
        (inner, vec(node, 0..5)).prop_map(|(mut element, mut children)| {
            // Two texts in a row are read as one.
            children.dedup_by(|one, before| matches!((one, before), (Node::Text(_), Node::Text(_))));
            element.children = children;
            element
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(root in trees()) {
        for charset in [Charset::Utf8, Charset::Gb18030, Charset::Gbk, Charset::Gb2312] {
            let bytes = write(&root, charset).unwrap();
            assert_eq!(read(&bytes, None, None, &Limits::default()).as_ref(), Ok(&root), "{charset:?}");
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes, None, None, &small());
        let _ = read(&[b"<a b='", &*bytes].concat(), None, None, &Limits::default());
    }

    #[test]
    fn no_markup_makes_it_panic(text in "[<>&;!?/'\"=a-c\\[\\]# x0-9\n-]{0,80}", split in 0usize..80) {
        if let Ok(root) = get(&text) {
            assert_eq!(get(std::str::from_utf8(&write(&root, Charset::Utf8).unwrap()).unwrap()), Ok(root));
        }
        let _ = get(&format!("<a>{text}</a>"));
        let _ = read(&text.as_bytes()[..split.min(text.len())], None, None, &small());
    }
}
