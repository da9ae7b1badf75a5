//! Declared translations between documents: parse, check, compile, run
