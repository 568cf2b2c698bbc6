// Finds the functions of one CUDA library when they are first called. See main.rs.

#include <dlfcn.h>
#include <string.h>

#define JOIN2(a, b, c) a##b##c
#define JOIN(a, b, c) JOIN2(a, b, c)
#define HIDDEN __attribute__((visibility("hidden")))

extern HIDDEN void *JOIN(lazy_, LIBRARY, _table)[];

static const char *const names[] = {NAMES};
static const char *const files[] = {FILES 0};

static unsigned missing(void) { return MISSING; }
static const char *missing_text(void) { return "the library of this function is not on this machine"; }

static int ends_with(const char *name, const char *end) {
    size_t length = strlen(name), ending = strlen(end);
    return length >= ending && strcmp(name + length - ending, end) == 0;
}

// The driver's functions of such names give a status and the text by a pointer; the others' give the text.
static void *stand_in(const char *name) {
    int text = ends_with(name, "GetErrorString") || ends_with(name, "GetStatusString") || ends_with(name, "GetStatusName");
    return text && strncmp(name, "cuGet", 5) != 0 ? (void *)missing_text : (void *)missing;
}

// Two threads that come first at once store the same address.
HIDDEN void *JOIN(lazy_, LIBRARY, _resolve)(long index) {
    void *library = 0, *function;
    for (int i = 0; files[i] && !library; i++) library = dlopen(files[i], RTLD_NOW | RTLD_GLOBAL);
    function = library ? dlsym(library, names[index]) : 0;
    if (!function) function = stand_in(names[index]);
    __atomic_store_n(&JOIN(lazy_, LIBRARY, _table)[index], function, __ATOMIC_RELEASE);
    return function;
}
