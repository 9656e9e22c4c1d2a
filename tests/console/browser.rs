//! A browser without scripts: it keeps cookies, follows redirects, submits forms by their fields, and checks the
//! structure of every page that it is sent.

use std::{cell::RefCell, collections::BTreeMap};

use form_urlencoded::Serializer;
use ureq::http::{HeaderMap, Request};

use crate::{
    document::{Document, Element},
    service::{PASSWORD, Service},
    structure,
};

pub(crate) struct Browser<'a> {
    service: &'a Service,
    cookies: RefCell<BTreeMap<String, String>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Page {
    /// Its path and query, after redirects.
    pub(crate) url: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) document: Document,
}

/// A form of a page, as it was filled in.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    pub(crate) action: String,
    pub(crate) method: String,
    pub(crate) fields: Vec<Field>,
    pub(crate) buttons: Vec<Button>,
    is_multipart: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) value: String,
    pub(crate) is_required: bool,
    /// Whether it is submitted: boxes are if they are ticked.
    pub(crate) is_sent: bool,
    /// The values of a select.
    options: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Button {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) text: String,
}

/// The header by which browsers say that a request comes from a page of the same origin.
const OURS: (&str, &str) = ("sec-fetch-site", "same-origin");

impl<'a> Browser<'a> {
    pub(crate) fn new(service: &'a Service) -> Self {
        Self { service, cookies: RefCell::default() }
    }

    /// A browser in which somebody has signed in.
    #[track_caller]
    pub(crate) fn of(service: &'a Service, email: &str) -> Self {
        let browser = Self::new(service);
        let page = browser.sign_in(&browser.open("/sign-in"), email);
        assert!(!page.url.starts_with("/sign-in"), "{page:?}");
        browser
    }

    /// Submits the sign-in form of a page.
    #[track_caller]
    pub(crate) fn sign_in(&self, page: &Page, email: &str) -> Page {
        let form = page.form("/sign-in").fill("email", email).fill("password", PASSWORD);
        self.submit(&form, "Sign in").is(200)
    }

    /// Another browser with the same cookies, as another tab has them.
    pub(crate) fn tab(&self) -> Self {
        Self { service: self.service, cookies: self.cookies.clone() }
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.borrow().get(name).cloned()
    }

    /// The token in a cookie.
    pub(crate) fn token(&self, name: &str) -> String {
        let value = self.cookie(name).unwrap();
        let (name, _) = form_urlencoded::parse(value.as_bytes()).next().unwrap();
        name.into_owned()
    }

    pub(crate) fn set_cookie(&self, name: &str, value: &str) {
        self.cookies.borrow_mut().insert(name.to_owned(), value.to_owned());
    }

    pub(crate) fn forget(&self, name: &str) {
        self.cookies.borrow_mut().remove(name);
    }

    /// Requests a page, which must answer with 200.
    #[track_caller]
    pub(crate) fn open(&self, path: &str) -> Page {
        self.get(path).is(200)
    }

    /// Requests a page and follows redirects.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Page {
        let page = self.fetch(path);
        self.follow(page)
    }

    /// Requests a page without following a redirect.
    #[track_caller]
    pub(crate) fn fetch(&self, path: &str) -> Page {
        self.send("GET", path, &[], Vec::new())
    }

    /// Submits a form with the button of this text.
    #[track_caller]
    pub(crate) fn submit(&self, form: &Form, button: &str) -> Page {
        self.follow(self.submit_only(form, button))
    }

    /// Submits a form without following a redirect.
    #[track_caller]
    pub(crate) fn submit_only(&self, form: &Form, button: &str) -> Page {
        let found = form.buttons.iter().find(|it| it.text == button);
        let found = found.unwrap_or_else(|| panic!("no button {button:?} in {form:?}"));
        let mut pairs: Vec<(&str, &str)> = form.fields.iter().filter(|it| it.is_sent).map(Field::pair).collect();
        if !found.name.is_empty() {
            pairs.push((&found.name, &found.value));
        }
        if form.method == "get" {
            let query = Serializer::new(String::new()).extend_pairs(pairs).finish();
            return self.fetch(&format!("{}?{query}", form.action));
        }
        let (media, body) = if form.is_multipart {
            ("multipart/form-data; boundary=limit", multipart(form, found))
        } else {
            let text = Serializer::new(String::new()).extend_pairs(pairs).finish();
            ("application/x-www-form-urlencoded", text.into_bytes())
        };
        self.send("POST", &form.action, &[OURS, ("content-type", media)], body)
    }

    #[track_caller]
    fn follow(&self, mut page: Page) -> Page {
        for _ in 0..5 {
            if !(300..400).contains(&page.status) {
                return page;
            }
            let to = page.header("location").to_owned();
            assert!(to.starts_with('/') && !to.starts_with("//"), "{page:?}");
            page = self.fetch(to.split('#').next().unwrap());
        }
        panic!("too many redirects: {page:?}")
    }

    /// Sends a request with these headers and the cookies.
    #[track_caller]
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Page {
        let mut request = Request::builder().method(method).uri(self.service.url(path));
        request = request.header("user-agent", "Kettle/1").header("accept", "text/html");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let cookies = self.cookies.borrow().iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        let response = self.service.exchange(request.body(body).unwrap());
        let failed = |error| panic!("{method} {path}: {error}: {}", self.service.log());
        let (parts, bytes) = response.unwrap_or_else(failed).into_parts();
        for cookie in parts.headers.get_all("set-cookie") {
            self.keep(cookie.to_str().unwrap());
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let is_html = parts.headers.get("content-type").is_some_and(|it| it.as_bytes().starts_with(b"text/html"));
        let document = if is_html { Document::parse(&text) } else { Document::parse("") };
        let page = Page { url: path.to_owned(), status: parts.status.as_u16(), headers: parts.headers, text, document };
        structure::check_headers(&page);
        if is_html && structure::is_of_the_console(path) {
            structure::check(&page);
        }
        page
    }

    fn keep(&self, cookie: &str) {
        let (pair, rest) = cookie.split_once(';').unwrap();
        let (name, value) = pair.split_once('=').unwrap();
        assert!(rest.contains("HttpOnly") && rest.contains("SameSite=Lax") && rest.contains("Path=/"), "{cookie}");
        if rest.contains("Max-Age=0") { self.forget(name) } else { self.set_cookie(name, value) }
    }
}

fn multipart(form: &Form, button: &Button) -> Vec<u8> {
    let mut body = String::new();
    for field in form.fields.iter().filter(|field| field.is_sent) {
        let file = if field.kind == "file" { "; filename=\"users.csv\"\r\nContent-Type: text/csv" } else { "" };
        let Field { name, value, .. } = field;
        body += &format!("--limit\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{value}\r\n");
    }
    let Button { name, value, .. } = button;
    body += &format!("--limit\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n--limit--\r\n");
    body.into_bytes()
}

impl Page {
    /// Asserts the status.
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{} {}", self.url, self.words());
        self
    }

    /// Asserts that the page shows a text.
    #[track_caller]
    pub(crate) fn shows(self, text: &str) -> Self {
        assert!(self.words().contains(text), "{} does not show {text:?}: {}", self.url, self.words());
        self
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// What can be read on the page; its source, if it is no HTML.
    pub(crate) fn words(&self) -> &str {
        let body = self.document.all("body").next().map_or("", |body| body.text.as_str());
        if body.is_empty() { &self.text } else { body }
    }

    /// What can be read in the main part of the page.
    pub(crate) fn main(&self) -> &str {
        self.document.with_id("main").map_or("", |main| main.text.as_str())
    }

    pub(crate) fn title(&self) -> &str {
        self.document.all("title").next().map_or("", |title| title.text.as_str())
    }

    /// What was done, and what failed, as it is announced.
    pub(crate) fn toast(&self) -> &str {
        self.document.with_id("toasts").map_or("", |toasts| toasts.text.as_str())
    }

    /// The form that is submitted to this address.
    #[track_caller]
    pub(crate) fn form(&self, action: &str) -> Form {
        let forms = self.forms();
        let found = forms.iter().find(|form| form.action == action);
        let actions: Vec<&str> = forms.iter().map(|form| form.action.as_str()).collect();
        found.unwrap_or_else(|| panic!("{}: no form for {action}, but {actions:?}: {}", self.url, self.main())).clone()
    }

    pub(crate) fn forms(&self) -> Vec<Form> {
        let elements = self.document.elements.iter().enumerate();
        let forms = elements.filter(|(_, element)| element.name == "form");
        forms.map(|(place, form)| Form::of(&self.document, place, form)).collect()
    }

    /// The address that a link of this text leads to.
    #[track_caller]
    pub(crate) fn link(&self, text: &str) -> String {
        let link = self.document.all("a").find(|link| link.text == text);
        link.unwrap_or_else(|| panic!("{}: no link {text:?}: {}", self.url, self.words())).get("href").to_owned()
    }

    /// What is wrong with a field, as it is written beside it.
    #[track_caller]
    pub(crate) fn error_of(&self, name: &str) -> &str {
        let input = self.document.elements.iter().find(|it| it.get("name") == name).unwrap();
        let error = input.get("aria-describedby").split(' ').find(|id| id.ends_with("-error"));
        let error = error.and_then(|id| self.document.with_id(id)).map_or("", |error| error.text.as_str());
        assert_eq!(!error.is_empty(), input.get("aria-invalid") == "true", "{input:?}");
        error
    }

    /// The value that a field has.
    #[track_caller]
    pub(crate) fn value_of(&self, name: &str) -> String {
        let fields = self.forms().into_iter().flat_map(|form| form.fields);
        let mut named = fields.filter(|field| field.name == name);
        let found = named.find(|field| field.is_sent).unwrap_or_else(|| panic!("{}: no field {name}", self.url));
        found.value
    }
}

impl Form {
    fn of(document: &Document, place: usize, form: &Element) -> Self {
        let within: Vec<&Element> = document.inside(place).collect();
        let is_disabled = |it: &Element| {
            it.has("disabled") || document.is_inside(it, |outer| outer.name == "fieldset" && outer.has("disabled"))
        };
        let mut fields = Vec::new();
        let mut buttons = Vec::new();
        for element in within.iter().copied().filter(|it| !is_disabled(it)) {
            let [name, value, mut kind] = ["name", "value", "type"].map(|it| element.get(it).to_owned());
            // For password managers only.
            if element.has("hidden") {
                "hidden".clone_into(&mut kind);
            }
            let is_required = element.has("required");
            let mut field = Field { name, kind, value, is_required, is_sent: true, options: Vec::new() };
            match element.name.as_str() {
                "button" => {
                    assert!(matches!(field.kind.as_str(), "submit" | "button"), "{element:?}");
                    if field.kind == "submit" {
                        buttons.push(Button { name: field.name, value: field.value, text: element.text.clone() });
                    }
                    continue;
                }
                "input" if matches!(field.kind.as_str(), "checkbox" | "radio") => {
                    field.is_sent = element.has("checked")
                }
                "input" => {}
                "textarea" => field.value.clone_from(&element.text),
                "select" => {
                    let own = document.elements.iter().position(|it| std::ptr::eq(it, element)).unwrap();
                    let options: Vec<&Element> = document.inside(own).filter(|it| it.name == "option").collect();
                    let chosen = options.iter().find(|it| it.has("selected")).or(options.first());
                    field.value = chosen.map_or("", |it| it.get("value")).to_owned();
                    field.options = options.iter().map(|it| it.get("value").to_owned()).collect();
                }
                _ => continue,
            }
            if !field.name.is_empty() {
                fields.push(field);
            }
        }
        let method = form.get("method").to_lowercase();
        let is_multipart = form.get("enctype") == "multipart/form-data";
        Self { action: form.get("action").to_owned(), method, fields, buttons, is_multipart }
    }

    /// Enters a value, or chooses it.
    #[track_caller]
    pub(crate) fn fill(mut self, name: &str, value: &str) -> Self {
        let named = self.fields.iter().any(|field| field.name == name);
        assert!(named, "no field {name} in {self:?}");
        let mut is_chosen = false;
        for field in self.fields.iter_mut().filter(|field| field.name == name) {
            match field.kind.as_str() {
                "radio" => field.is_sent = field.value == value,
                "checkbox" => field.is_sent |= field.value == value,
                _ => {
                    assert!(field.options.is_empty() || field.options.iter().any(|it| it == value), "{field:?}");
                    value.clone_into(&mut field.value);
                }
            }
            is_chosen |= field.is_sent && field.value == value;
        }
        assert!(is_chosen, "{value} cannot be chosen for {name}: {self:?}");
        self
    }

    /// The value of a hidden field.
    #[track_caller]
    pub(crate) fn hidden(&self, name: &str) -> &str {
        let field = self.fields.iter().find(|field| field.name == name && field.kind == "hidden");
        &field.unwrap_or_else(|| panic!("no hidden field {name} in {self:?}")).value
    }
}

impl Field {
    fn pair(&self) -> (&str, &str) {
        (&self.name, &self.value)
    }
}
