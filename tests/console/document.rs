//! HTML as a flat list of elements, in the order of the document.

use html5ever::{ParseOpts, parse_document, tendril::TendrilSink};
use markup5ever_rcdom::{Handle, NodeData, RcDom};

/// A parsed page.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) elements: Vec<Element>,
    /// What a parser of HTML had to correct.
    pub(crate) faults: Vec<String>,
}

/// An element with its attributes.
#[derive(Debug, Clone)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
    /// The text in it, with single spaces; that of a text field as it is.
    pub(crate) text: String,
    /// Its ancestors, from the root to its parent.
    pub(crate) ancestors: Vec<usize>,
}

impl Element {
    /// The value of an attribute; empty if it is missing.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.attribute(name).unwrap_or_default()
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }
}

impl Document {
    pub(crate) fn parse(html: &str) -> Self {
        let dom = parse_document(RcDom::default(), ParseOpts::default()).one(html);
        let mut document = Self { elements: Vec::new(), faults: Vec::new() };
        document.add(&dom.document, &mut Vec::new());
        for element in document.elements.iter_mut().filter(|it| it.name != "textarea") {
            element.text = element.text.split_whitespace().collect::<Vec<_>>().join(" ");
        }
        document.faults = dom.errors.borrow().iter().map(ToString::to_string).collect();
        document
    }

    fn add(&mut self, node: &Handle, ancestors: &mut Vec<usize>) {
        match &node.data {
            NodeData::Element { name, attrs, .. } => {
                let attributes = attrs.borrow();
                let attributes = attributes.iter().map(|it| (it.name.local.to_string(), it.value.to_string()));
                let element = Element {
                    name: name.local.to_string(),
                    attributes: attributes.collect(),
                    text: String::new(),
                    ancestors: ancestors.clone(),
                };
                self.elements.push(element);
                ancestors.push(self.elements.len() - 1);
                node.children.borrow().iter().for_each(|child| self.add(child, ancestors));
                ancestors.pop();
            }
            NodeData::Text { contents } => {
                for element in ancestors {
                    self.elements[*element].text.push_str(&contents.borrow());
                }
            }
            _ => node.children.borrow().iter().for_each(|child| self.add(child, ancestors)),
        }
    }

    /// The elements of a name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.elements.iter().filter(move |element| element.name == name)
    }

    pub(crate) fn with_id(&self, id: &str) -> Option<&Element> {
        self.elements.iter().find(|element| element.attribute("id") == Some(id))
    }

    /// Whether an element is inside of one of which this holds.
    pub(crate) fn is_inside(&self, element: &Element, holds: impl Fn(&Element) -> bool) -> bool {
        element.ancestors.iter().any(|ancestor| holds(&self.elements[*ancestor]))
    }

    /// The elements inside of another one, which is found by its place.
    pub(crate) fn inside(&self, place: usize) -> impl Iterator<Item = &Element> {
        self.elements.iter().filter(move |element| element.ancestors.contains(&place))
    }
}
