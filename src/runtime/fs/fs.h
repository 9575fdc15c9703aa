/*
 * tcompose-fs: the confined file worker. One call does one piece of file work inside one target (a directory, the root
 * of a running container, an overlay mounted for the call) which it first makes its root. Results go to stdout, an
 * error is one line on stderr and one of the exit codes below. Client: src/runtime/fs-worker.ts.
 */
#ifndef TCOMPOSE_FS_H
#define TCOMPOSE_FS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum {
    EXIT_USAGE = 64,
    EXIT_BAD_INPUT = 65, /* a broken or hostile archive */
    EXIT_MISSING = 66,
    EXIT_CONFLICT = 67,
    EXIT_UNSUPPORTED = 68,
    EXIT_DENIED = 69,
    EXIT_BROKEN = 70 /* the system failed us */
};

enum mode { MODE_PLAIN, MODE_LAYER, MODE_MERGED };

enum { MAX_LIST = 1024, BUFFER_SIZE = 1 << 20, MAX_HEADER = 1 << 20 };

struct bind { const char *source, *target; bool read_only; };

struct options {
    const char *root, *pid, *pid_start, *upper, *work;
    const char *lowers[MAX_LIST];
    size_t lower_count;
    struct bind binds[MAX_LIST];
    size_t bind_count;
    const char *exclude[MAX_LIST];
    size_t exclude_count;
    const char *arguments[MAX_LIST];
    size_t argument_count;
    const char *skeleton, *name, *to, *to_path, *against;
    enum mode mode;
    bool has_owner, make_directory, keep_kinds, follow, digest_only, recursive, if_empty, no_root_attributes;
    bool has_slice, has_max_mtime;
    uid_t uid;
    gid_t gid;
    off_t offset;
    uint64_t length, max_bytes, max_entries;
    int64_t max_mtime;
};

/* ---- report.c: errors, JSON, memory ---- */
_Noreturn void fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Exit code after `errno`, message `what: reason`. */
_Noreturn void fail_errno(const char *what);
void json_string(FILE *out, const char *text);
void *must_alloc(size_t size);
void *must_realloc(void *old, size_t size);
char *must_dup(const char *text);
uint64_t parse_number(const char *text, const char *option);

/* A set of strings with a number each. */
struct set { struct set_slot *slots; size_t size, used; };
/* The number kept for `key`, made as 0 when absent and `make`; NULL when absent. */
uint64_t *set_find(struct set *set, const char *key, bool make);
bool set_remove(struct set *set, const char *key);
size_t set_count(const struct set *set);

/* ---- sha256.c ---- */
struct sha256 { uint32_t state[8]; uint64_t length; uint8_t block[64]; };
void sha256_init(struct sha256 *);
void sha256_update(struct sha256 *, const void *data, size_t size);
void sha256_hex(struct sha256 *, char hex[65]);

/* ---- target.c ---- */
/* Makes the target of the options the root of this process and returns a descriptor of it. */
int enter_target(const struct options *);

/* ---- path.c: everything below a root descriptor ---- */
/* Opens inside `root`, symbolic links resolved as if `root` were `/`. -1 and errno on failure. */
int open_in(int root, const char *path, int flags, mode_t mode);
/* Lexically clean, without leading slash, "" for the root itself; NULL if it climbs above the root. */
char *clean_path(const char *path);
/* Splits a clean path into parent ("" for the root) and base, which points into `path`. */
char *parent_of(const char *path, const char **base);
/* Follows symbolic links inside `root` by hand; gives an absolute text. Missing last components are kept. */
char *resolve_text(int root, const char *path, bool follow_last);
/* Removes `name` in `parent` with all below. */
void remove_tree(int parent, const char *name, const char *shown);
bool is_whiteout(const struct stat *st);
/* Whether a layer's entry is a `.wh.` marker or stands in aufs' bookkeeping, by its clean path. */
bool is_marker(const char *path, const char *base);
/* Whether an extended attribute goes into copies and archives: not what belongs to the overlay or a label. */
bool is_kept_xattr(const char *name);
/* Names in a directory, sorted by bytes, without . and .. ; frees nothing of its own before the end. */
struct names { char **list; size_t count; };
struct names read_names(int directory, const char *shown);
void free_names(struct names *);

/* ---- inflate.c ---- */
/* `more` gives compressed bytes, none at their end. */
struct gunzip *gunzip_open(size_t (*more)(void *context, uint8_t *into, size_t room), void *context);
/* Plain bytes; 0 at the end. Damaged data ends the program with its error. */
size_t gunzip_read(struct gunzip *, uint8_t *into, size_t room);

/* ---- skeleton.c: an archive without the payload of its files, zeros shortened ---- */
struct skeleton { FILE *file; uint8_t *literal; size_t literal_length; uint64_t zeros; };
struct skeleton *skeleton_create(const char *path);
void skeleton_write(struct skeleton *, const uint8_t *data, size_t size);
void skeleton_close(struct skeleton *);
struct skeleton *skeleton_open(const char *path);
/* Fills as much of `data` as there is. */
size_t skeleton_read(struct skeleton *, uint8_t *data, size_t size);

/* ---- stash.c: payloads that a later entry of the same archive replaced ---- */
struct stash {
    int beside, directory;
    char *name;
    struct set counts, linked; /* `linked`: paths made by hard links */
};
void stash_prepare(struct stash *, const char *skeleton);
/* Puts the payloads of what is about to be removed aside. */
void stash_replaced(struct stash *, int parent, const char *base, const char *path);
void stash_open(struct stash *, const char *skeleton);
/* The next replaced payload of a path, or -1 when the one that stayed is meant. */
int stash_take(struct stash *, const char *path);

/* ---- tar-read.c ---- */
struct xattr { char *name; uint8_t *value; size_t size; };
struct entry {
    char *name; /* as in the archive */
    char *link;
    char type; /* '0'..'6' */
    mode_t mode;
    uint64_t uid, gid, size;
    int64_t mtime;
    long mtime_ns;
    unsigned major, minor;
    struct xattr *xattrs;
    size_t xattr_count;
};
struct output;
struct tar {
    int fd;
    bool has_slice;
    off_t offset;
    uint64_t slice_left;
    struct skeleton *source; /* read from this instead of fd */
    struct gunzip *gunzip;   /* between fd and the archive, when that is compressed */
    struct sha256 raw_hash;  /* of what was read from fd */
    uint64_t raw_total;
    struct skeleton *skeleton;
    struct output *echo; /* gets everything but the payloads */
    uint8_t *buffer;
    size_t position, filled;
    struct sha256 hash;
    uint64_t total, max_bytes;
    uint64_t payload_left, padding_left;
    bool payload_to_skeleton, ended;
    struct entry entry;
};
void tar_open(struct tar *, const struct options *);
/* The next entry, or NULL at the end; the payload of the one before is skipped (into the skeleton). */
struct entry *tar_next(struct tar *);
/* A piece of the payload; 0 at its end. */
size_t tar_payload(struct tar *, const uint8_t **data);
/* Reads to the end of the stream, so that the digest covers all of it. */
void tar_drain(struct tar *);

/* ---- tar-write.c ---- */
struct output { bool discard; uint8_t *buffer; size_t used; struct sha256 hash; uint64_t total; };
void output_open(struct output *, bool discard);
void output_write(struct output *, const void *data, size_t size);
void output_flush(struct output *);
/* Header (with PAX records where ustar cannot say it) of `entry`; the payload and `output_pad` follow. */
void write_header(struct output *, const struct entry *);
void output_pad(struct output *, uint64_t size);

/* Writes exactly `size` bytes of a file: a file that shrank meanwhile is filled up with zeros. */
void output_file(struct output *, int fd, uint64_t size, const char *shown);
/* {"digest":…} of what was written. */
void output_summary(struct output *, uint64_t size, uint64_t entries);
/* Remembers first names of files with several: the name under which `st` was seen before, or NULL. */
struct links { struct set names; };
const char *first_name(struct links *, const struct stat *st, const char *path);

/* ---- verbs ---- */
/* These two open files of the host first and enter the target by themselves. */
void verb_unpack(const struct options *);
void verb_assemble(const struct options *);
void verb_pack(const struct options *, int root);
void verb_copy(const struct options *, int root, int destination);
void verb_stat(const struct options *, int root);
void verb_list(const struct options *, int root);
void verb_cat(const struct options *, int root);
void verb_usage(const struct options *, int root);
void verb_diff(const struct options *, int root, int upper);

#endif
