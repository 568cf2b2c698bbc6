//! On x86-64 Linux: archives in place of the CUDA libraries, which look for the real ones when
//! a function is first called. A program linked with them starts where there is no CUDA, and falls back to the CPU.
//!
//! Candle asks the linker for `cuda`, `cublas` and so on; linkers search this script's folder before the toolkit's.
//! `LORA_EDIT_CUDA_LINK=dynamic` leaves them linked the usual way.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// A library of CUDA.
struct Library {
    /// As given to the linker.
    name: &'static str,
    /// Files to load, the first that is there.
    files: &'static [&'static str],
    /// Headers that declare its functions.
    headers: &'static [&'static str],
    /// What its functions' names begin with; a capital follows.
    prefix: &'static str,
    /// What its functions return where it is missing: "no device", "not initialised" and the like.
    missing: u32,
}

const LIBRARIES: &[Library] = &[
    Library { name: "cuda", files: &["libcuda.so.1"], headers: &["cuda.h"], prefix: "cu", missing: 100 },
    Library {
        name: "cublas",
        files: &["libcublas.so.13", "libcublas.so.12"],
        headers: &["cublas_v2.h", "cublas_api.h"],
        prefix: "cublas",
        missing: 1,
    },
    Library {
        name: "cublasLt",
        files: &["libcublasLt.so.13", "libcublasLt.so.12"],
        headers: &["cublasLt.h"],
        prefix: "cublasLt",
        missing: 1,
    },
    Library {
        name: "curand",
        files: &["libcurand.so.10"],
        headers: &["curand.h"],
        prefix: "curand",
        missing: 203,
    },
    Library {
        name: "nvrtc",
        files: &["libnvrtc.so.13", "libnvrtc.so.12"],
        headers: &["nvrtc.h"],
        prefix: "nvrtc",
        missing: 7,
    },
];

/// Makes the archives and tells the linker of them, where they are wanted and can be made.
pub fn link() -> io::Result<()> {
    for name in ["LORA_EDIT_CUDA_LINK", "CUDA_HOME", "CUDA_PATH", "CUDA_ROOT", "CUDA_TOOLKIT_ROOT_DIR"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    let fits = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ARCH", "x86_64");
    match toolkit().filter(|_| fits && !is("LORA_EDIT_CUDA_LINK", "dynamic")) {
        Some(toolkit) => make_archives(&toolkit),
        None => Ok(()),
    }
}

/// The CUDA toolkit that candle's build scripts find too.
fn toolkit() -> Option<PathBuf> {
    let named = ["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT", "CUDA_TOOLKIT_ROOT_DIR"].into_iter();
    let named = named.filter_map(env::var_os).map(PathBuf::from);
    let usual = ["/usr/local/cuda", "/opt/cuda", "/usr/lib/cuda", "/usr"].map(PathBuf::from);
    named.chain(usual).find(|folder| folder.join("include/cuda.h").is_file())
}

fn make_archives(toolkit: &Path) -> io::Result<()> {
    let Some(runtime) = static_runtime(toolkit) else {
        println!("cargo:warning=no libcudart_static.a in {}: CUDA is linked dynamically", toolkit.display());
        return Ok(());
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("lazy-cuda");
    fs::create_dir_all(&out)?;
    for library in LIBRARIES {
        make_archive(library, &toolkit.join("include"), &out)?;
    }
    fs::copy(runtime, out.join("libcudart.a"))?;
    println!("cargo:rustc-link-search=native={}", out.display());
    Ok(())
}

/// The runtime is linked in whole: it looks for the driver itself.
fn static_runtime(toolkit: &Path) -> Option<PathBuf> {
    let folders = ["lib64", "lib", "targets/x86_64-linux/lib", "lib/x86_64-linux-gnu"];
    folders.map(|folder| toolkit.join(folder).join("libcudart_static.a")).into_iter().find(|p| p.is_file())
}

fn make_archive(library: &Library, include: &Path, out: &Path) -> io::Result<()> {
    let names = functions(library, include)?;
    let assembly = out.join(format!("{}.S", library.name));
    fs::write(&assembly, entries(library.name, &names))?;
    let strings = |items: &mut dyn Iterator<Item = &str>| {
        items.fold(String::new(), |all, item| all + &format!("\"{item}\","))
    };
    cc::Build::new()
        .cargo_metadata(false)
        .out_dir(out)
        .file("build/lazy.c")
        .file(assembly)
        .define("LIBRARY", library.name)
        .define("MISSING", library.missing.to_string().as_str())
        .define("FILES", strings(&mut library.files.iter().copied()).as_str())
        .define("NAMES", strings(&mut names.iter().map(String::as_str)).as_str())
        .compile(library.name);
    Ok(())
}

/// Every word of the headers that may be a function of the library: one too many does no harm.
fn functions(library: &Library, include: &Path) -> io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for header in library.headers {
        let text = fs::read(include.join(header))?;
        let text = String::from_utf8_lossy(&text);
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let of_library = |word: &&str| {
            word.strip_prefix(library.prefix).is_some_and(|rest| rest.starts_with(char::is_uppercase))
        };
        names.extend(words.filter(of_library).map(str::to_owned));
    }
    if library.name == "cublas" {
        names.retain(|name| !name.starts_with("cublasLt"));
    }
    if library.name == "cuda" {
        // Made by macros of the header, for streams of each thread.
        let others = names.iter().flat_map(|name| ["_ptsz", "_ptds"].map(|end| format!("{name}{end}")));
        names = others.collect::<Vec<_>>().into_iter().chain(names.clone()).collect();
    }
    Ok(names)
}

/// One jump per function through a table, whose entries lead to `resolve` of lazy.c until a function is known.
fn entries(library: &str, names: &BTreeSet<String>) -> String {
    let mut text = String::from(".text\n");
    for (i, name) in names.iter().enumerate() {
        let _ = write!(
            text,
            ".globl {name}\n.type {name}, @function\n{name}: jmp *lazy_{library}_table+{at}(%rip)\n\
             .Lfirst{i}: pushq ${i}\n jmp .Lresolve\n",
            at = 8 * i
        );
    }
    // The function's own arguments are kept: integers, the count of vector registers, and those. The index is on the
    // stack below them; the stack is aligned to 16 at the call.
    let integers = ["rax", "rdi", "rsi", "rdx", "rcx", "r8", "r9"];
    text += ".Lresolve:\n";
    integers.iter().for_each(|register| text += &format!(" pushq %{register}\n"));
    text += " subq $136, %rsp\n";
    (0..8).for_each(|i| text += &format!(" movups %xmm{i}, {}(%rsp)\n", 16 * i));
    text += &format!(" movq 192(%rsp), %rdi\n call lazy_{library}_resolve\n movq %rax, %r11\n");
    (0..8).for_each(|i| text += &format!(" movups {}(%rsp), %xmm{i}\n", 16 * i));
    text += " addq $136, %rsp\n";
    integers.iter().rev().for_each(|register| text += &format!(" popq %{register}\n"));
    text += " addq $8, %rsp\n jmp *%r11\n";
    text += &format!(".data\n.balign 8\n.globl lazy_{library}_table\n.hidden lazy_{library}_table\n");
    text += &format!(".hidden lazy_{library}_resolve\nlazy_{library}_table:\n");
    (0..names.len()).for_each(|i| text += &format!(" .quad .Lfirst{i}\n"));
    text + ".section .note.GNU-stack,\"\",@progbits\n"
}
