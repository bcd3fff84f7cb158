# SPDX-License-Identifier: MIT
# A workload for a Rust program: collections, strings, threads, panics.
# bash rust.sh DIRECTORY [TIMES]
# The program is made once, by the first run, as rust in DIRECTORY.
set -e
rm -rf "$1/work"
mkdir -p "$1/work"
cd "$1/work"
times=${2:-1}
cat >work.rs <<'EOF'
use std::collections::{BTreeMap, BinaryHeap, HashSet, VecDeque};
use std::fmt;
use std::panic;
use std::sync::{mpsc, Arc, Mutex};
use std::thread;

trait Shape { fn area(&self) -> f64; fn name(&self) -> String { "shape".into() } }
struct Square(f64);
struct Circle { r: f64 }
impl Shape for Square { fn area(&self) -> f64 { self.0 * self.0 } }
impl Shape for Circle {
    fn area(&self) -> f64 { 3.0 * self.r * self.r }
    fn name(&self) -> String { format!("circle {:.1}", self.r) }
}
#[derive(Debug, Clone, PartialEq)]
enum Token { Num(i64), Op(char), Open, Close }
#[derive(Debug)]
enum Failure { Empty, Bad(char), Parse(std::num::ParseIntError) }
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result { write!(f, "failed: {:?}", self) }
}
impl From<std::num::ParseIntError> for Failure {
    fn from(e: std::num::ParseIntError) -> Self { Failure::Parse(e) }
}
struct Noisy(&'static str);
impl Drop for Noisy { fn drop(&mut self) { println!("drop {}", self.0); } }

fn tokens(s: &str) -> Result<Vec<Token>, Failure> {
    let mut out = vec![];
    let mut it = s.chars().peekable();
    while let Some(&c) = it.peek() {
        match c {
            ' ' => { it.next(); }
            '0'..='9' => {
                let mut n = String::new();
                while let Some(&d) = it.peek() {
                    if d.is_ascii_digit() { n.push(d); it.next(); } else { break; }
                }
                out.push(Token::Num(n.parse()?));
            }
            '+' | '-' | '*' | '/' => { out.push(Token::Op(c)); it.next(); }
            '(' => { out.push(Token::Open); it.next(); }
            ')' => { out.push(Token::Close); it.next(); }
            _ => return Err(Failure::Bad(c)),
        }
    }
    if out.is_empty() { Err(Failure::Empty) } else { Ok(out) }
}
fn expr(t: &[Token], at: &mut usize) -> i64 {
    let mut v = term(t, at);
    while *at < t.len() {
        match t[*at] {
            Token::Op('+') => { *at += 1; v += term(t, at); }
            Token::Op('-') => { *at += 1; v -= term(t, at); }
            _ => break,
        }
    }
    v
}
fn term(t: &[Token], at: &mut usize) -> i64 {
    let mut v = atom(t, at);
    while *at < t.len() {
        match t[*at] {
            Token::Op('*') => { *at += 1; v *= atom(t, at); }
            Token::Op('/') => { *at += 1; v /= atom(t, at); }
            _ => break,
        }
    }
    v
}
fn atom(t: &[Token], at: &mut usize) -> i64 {
    let tok = t[*at].clone();
    *at += 1;
    match tok {
        Token::Num(n) => n,
        Token::Open => { let v = expr(t, at); *at += 1; v }
        other => panic!("unexpected {:?}", other),
    }
}
fn caught<F: FnOnce() -> i64 + panic::UnwindSafe>(f: F) {
    match panic::catch_unwind(f) {
        Ok(v) => println!("value {}", v),
        Err(e) => match (e.downcast_ref::<String>(), e.downcast_ref::<&str>()) {
            (Some(s), _) => println!("caught {}", s),
            (_, Some(s)) => println!("caught {}", s),
            _ => println!("caught something"),
        },
    }
}
fn main() {
    panic::set_hook(Box::new(|i| println!("panic at line {}", i.location().unwrap().line())));
    let shapes: Vec<Box<dyn Shape>> = vec![Box::new(Square(2.0)), Box::new(Circle { r: 1.5 })];
    for s in &shapes { println!("{} {:.2}", s.name(), s.area()); }
    for s in ["1 + 2 * (3 - 4)", "", "2 $ 3", "99999999999999999999", "8 / (2 - 2)", "* 3", "7 *"] {
        match tokens(s) {
            Ok(t) => caught(move || { let _n = Noisy("expr"); expr(&t, &mut 0) }),
            Err(e) => println!("{}", e),
        }
    }
    let mut m = BTreeMap::new();
    for w in "the quick brown fox jumps over the lazy dog the end".split_whitespace() {
        *m.entry(w.to_uppercase()).or_insert(0) += 1;
    }
    println!("{:?}", m);
    let mut heap: BinaryHeap<_> = (0..50u64).map(|i| i * 37 % 101).collect();
    let top: Vec<_> = (0..5).filter_map(|_| heap.pop()).collect();
    let set: HashSet<u64> = heap.into_iter().collect();
    let mut q: VecDeque<_> = (1..=5).collect();
    q.rotate_left(2);
    println!("{:?} {} {:?} {:#?}", top, set.len(), q, Some(Token::Num(1)));
    let total = Arc::new(Mutex::new(0));
    let (tx, rx) = mpsc::channel();
    for i in 0..4 {
        let (total, tx) = (Arc::clone(&total), tx.clone());
        let t = thread::spawn(move || {
            *total.lock().unwrap() += i;
            tx.send(i * 10).unwrap();
            if i == 3 { panic!("thread {}", i); }
        });
        println!("{}", t.join().is_ok());
    }
    drop(tx);
    println!("{} {}", rx.iter().sum::<i32>(), total.lock().unwrap());
    caught(|| { let v: Vec<i64> = vec![1]; let i = v.len() + 3; v[i] });
    caught(|| "x".parse::<i64>().unwrap());
    caught(|| { let mut x = i64::MAX - std::env::args().count() as i64; x = x.checked_add(9).expect("overflow"); x });
    let text: String = std::fs::read_to_string("/nonexistent").unwrap_or_else(|e| e.kind().to_string());
    let mut v: Vec<f64> = (1..20).map(|x| ((x * 7919) % 23) as f64 / 3.0).collect();
    v.sort_by(|a, b| b.partial_cmp(a).unwrap());
    println!("{} {:.3?} {}", text, &v[..3], i64::from_str_radix("-7f", 16).unwrap());
    let _last = Noisy("main");
    std::process::exit(4);
}
EOF
[ -e ../rust ] || /usr/bin/rustc -O -C debuginfo=0 -o ../rust work.rs
for ((i = 0; i < times; i++)); do
	../rust || echo "exit $?"
done
