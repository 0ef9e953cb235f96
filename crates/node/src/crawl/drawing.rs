//! What a crawl found, as files that tools draw.

use std::fmt::Write as _;

use super::Crawled;

impl Crawled {
    /// A graph for Graphviz.
    pub fn to_dot(&self) -> String {
        let mut text = "digraph network {\n".to_owned();
        for (number, node) in self.nodes.iter().enumerate() {
            let colour = if node.online { "black" } else { "grey" };
            let _ = writeln!(text, "  n{number} [label=\"{}\", color={colour}];", node.peer_id);
        }
        for link in &self.links {
            let style = if link.connected { "solid" } else { "dotted" };
            let _ = writeln!(text, "  n{} -> n{} [style={style}];", link.from, link.to);
        }
        text.push_str("}\n");
        text
    }

    /// A graph in GEXF 1.3, which Gephi opens.
    pub fn to_gexf(&self) -> String {
        let mut text = String::from(concat!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
            "<gexf xmlns=\"http://gexf.net/1.3\" version=\"1.3\">\n",
            "  <graph mode=\"static\" defaultedgetype=\"directed\">\n",
            "    <attributes class=\"node\">\n",
            "      <attribute id=\"0\" title=\"online\" type=\"boolean\"/>\n",
            "      <attribute id=\"1\" title=\"agent\" type=\"string\"/>\n",
            "      <attribute id=\"2\" title=\"address\" type=\"string\"/>\n",
            "    </attributes>\n",
            "    <attributes class=\"edge\">\n",
            "      <attribute id=\"0\" title=\"connected\" type=\"boolean\"/>\n",
            "    </attributes>\n",
            "    <nodes>\n",
        ));
        for (number, node) in self.nodes.iter().enumerate() {
            let addr = node.addrs.first().map(ToString::to_string).unwrap_or_default();
            let values = [node.online.to_string(), escaped(&node.agent), escaped(&addr)];
            let _ = writeln!(text, "      <node id=\"{number}\" label=\"{}\"><attvalues>", node.peer_id);
            for (at, value) in values.iter().enumerate() {
                let _ = writeln!(text, "        <attvalue for=\"{at}\" value=\"{value}\"/>");
            }
            text.push_str("      </attvalues></node>\n");
        }
        text.push_str("    </nodes>\n    <edges>\n");
        for (number, link) in self.links.iter().enumerate() {
            let _ = writeln!(
                text,
                "      <edge id=\"{number}\" source=\"{}\" target=\"{}\"><attvalues><attvalue for=\"0\" value=\"{}\"/></attvalues></edge>",
                link.from, link.to, link.connected
            );
        }
        text.push_str("    </edges>\n  </graph>\n</gexf>\n");
        text
    }
}

/// Text as it may stand in an attribute of XML, without what XML does not allow at all.
///
/// # Security
/// Agents are whatever strangers say.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars().filter(|character| !character.is_control()) {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => {}
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use bruit_core::PeerId;

    use super::*;
    use crate::{CrawledLink, CrawledNode};

    #[test]
    fn fault_what_strangers_call_themselves_cannot_break_the_file() {
        let agent = "\"/><evil a='&'>\u{0}\u{ffff}".to_owned();
        let node = CrawledNode { peer_id: PeerId::random(), addrs: vec![], online: true, agent, full: false };
        let link = CrawledLink { from: 0, to: 0, connected: true };
        let crawled = Crawled { nodes: vec![node], links: vec![link], ..Crawled::default() };
        let gexf = crawled.to_gexf();
        assert!(gexf.contains("value=\"&quot;/&gt;&lt;evil a='&amp;'&gt;\""), "{gexf}");
        let opened = gexf.matches('<').count();
        assert_eq!((opened, gexf.matches('"').count() % 2), (gexf.matches('>').count(), 0));
        assert!(crawled.to_dot().contains("n0 -> n0 [style=solid];"));
    }
}
