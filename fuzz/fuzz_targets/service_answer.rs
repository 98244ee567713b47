#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hubpass_fuzz::service_answer::check(data));
