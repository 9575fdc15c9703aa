#include "fs.h"

#include <stdarg.h>

_Noreturn void fail(int code, const char *format, ...) {
    va_list list;
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    exit(code);
}

_Noreturn void fail_errno(const char *what) {
    int error = errno, code = EXIT_BROKEN;
    if (error == ENOENT) code = EXIT_MISSING;
    else if (error == ENOTDIR || error == ELOOP || error == EISDIR || error == EEXIST) code = EXIT_CONFLICT;
    else if (error == EACCES || error == EPERM || error == EROFS) code = EXIT_DENIED;
    static const struct { int error; const char *text; } texts[] = {
        {ENOENT, "no such file or directory"}, {ENOTDIR, "not a directory"}, {EISDIR, "is a directory"},
        {EEXIST, "file exists"}, {ENOSPC, "no space left on device"}, {EROFS, "read-only file system"},
        {EACCES, "permission denied"}, {EPERM, "operation not permitted"}, {ELOOP, "too many symbolic links"},
        {ENAMETOOLONG, "file name too long"}, {EDQUOT, "disk quota exceeded"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].error == error) fail(code, "%s: %s", what, texts[i].text);
    fail(code, "%s: %s", what, strerror(error));
}

/* Length of the valid UTF-8 sequence at `p`, 0 if it is none. */
static int utf8_length(const unsigned char *p) {
    if (p[0] < 0x80) return 1;
    if (p[0] >= 0xc2 && p[0] < 0xe0) return (p[1] & 0xc0) == 0x80 ? 2 : 0;
    if (p[0] >= 0xe0 && p[0] < 0xf0) {
        if ((p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80) return 0;
        if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] >= 0xa0)) return 0;
        return 3;
    }
    if (p[0] >= 0xf0 && p[0] < 0xf5) {
        if ((p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80 || (p[3] & 0xc0) != 0x80) return 0;
        if ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] >= 0x90)) return 0;
        return 4;
    }
    return 0;
}

void json_string(FILE *out, const char *text) {
    fputc('"', out);
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        int length = utf8_length(p);
        if (length == 0) {
            fputs("\\ufffd", out);
            p++;
        } else if (*p < 0x20 || *p == '"' || *p == '\\') {
            fprintf(out, "\\u%04x", *p++);
        } else {
            fwrite(p, 1, (size_t)length, out);
            p += length;
        }
    }
    fputc('"', out);
}

void *must_alloc(size_t size) {
    void *memory = calloc(1, size ? size : 1);
    if (!memory) fail(EXIT_BROKEN, "out of memory");
    return memory;
}

void *must_realloc(void *old, size_t size) {
    void *memory = realloc(old, size ? size : 1);
    if (!memory) fail(EXIT_BROKEN, "out of memory");
    return memory;
}

char *must_dup(const char *text) {
    char *copy = strdup(text);
    if (!copy) fail(EXIT_BROKEN, "out of memory");
    return copy;
}

uint64_t parse_number(const char *text, const char *option) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || *end || end == text || *text == '-') fail(EXIT_USAGE, "%s wants a number, not %s", option, text);
    return value;
}

struct set_slot { char *key; uint64_t value; bool removed; };

static size_t set_place(const struct set *set, const char *key) {
    uint64_t hash = 1469598103934665603ULL;
    for (const unsigned char *p = (const unsigned char *)key; *p; p++) hash = (hash ^ *p) * 1099511628211ULL;
    size_t place = (hash ^ hash >> 29) & (set->size - 1);
    while (set->slots[place].key && strcmp(set->slots[place].key, key) != 0) place = (place + 1) & (set->size - 1);
    return place;
}

uint64_t *set_find(struct set *set, const char *key, bool make) {
    if (make && (set->used + 1) * 4 > set->size * 3) {
        struct set old = *set;
        set->size = old.size ? old.size * 2 : 64;
        set->slots = must_alloc(set->size * sizeof *set->slots);
        for (size_t i = 0; i < old.size; i++)
            if (old.slots[i].key) set->slots[set_place(set, old.slots[i].key)] = old.slots[i];
        free(old.slots);
    }
    if (set->size == 0) return NULL;
    struct set_slot *slot = &set->slots[set_place(set, key)];
    if (slot->key && !slot->removed) return &slot->value;
    if (!make) return NULL;
    if (!slot->key) {
        slot->key = must_dup(key);
        set->used++;
    }
    slot->removed = false;
    slot->value = 0;
    return &slot->value;
}

bool set_remove(struct set *set, const char *key) {
    if (set->size == 0) return false;
    struct set_slot *slot = &set->slots[set_place(set, key)];
    if (!slot->key || slot->removed) return false;
    slot->removed = true;
    return true;
}

size_t set_count(const struct set *set) {
    size_t count = 0;
    for (size_t i = 0; i < set->size; i++) count += set->slots[i].key && !set->slots[i].removed;
    return count;
}
