#include "fs.h"

/*
 * An archive may give the same path more than once; the last one stays. So that the archive can be reproduced, payloads
 * that are replaced go aside, into SKELETON.dup, as HASH.N: the Nth payload that was given for the path of that hash.
 */

static void stash_name(const char *path, uint64_t number, char name[48]) {
    uint64_t hash = 1469598103934665603ULL;
    for (const unsigned char *p = (const unsigned char *)path; *p; p++) hash = (hash ^ *p) * 1099511628211ULL;
    snprintf(name, 48, "%016llx.%llu", (unsigned long long)hash, (unsigned long long)number);
}

static char *stash_path(const char *skeleton) {
    char *path = must_alloc(strlen(skeleton) + 5);
    sprintf(path, "%s.dup", skeleton);
    return path;
}

void stash_prepare(struct stash *stash, const char *skeleton) {
    const char *base;
    char *path = stash_path(skeleton), *above = parent_of(path, &base);
    stash->beside = open(*above ? above : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (stash->beside < 0) fail_errno(above);
    stash->name = must_dup(base);
    stash->directory = -1;
    free(above);
    free(path);
}

static void stash_file(struct stash *stash, int parent, const char *base, const char *path) {
    if (set_remove(&stash->linked, path)) return; /* a link had no payload of its own */
    if (stash->directory < 0) {
        if (mkdirat(stash->beside, stash->name, 0700) < 0 && errno != EEXIST) fail_errno(stash->name);
        stash->directory = openat(stash->beside, stash->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (stash->directory < 0) fail_errno(stash->name);
    }
    char name[48];
    stash_name(path, (*set_find(&stash->counts, path, true))++, name);
    if (renameat(parent, base, stash->directory, name) < 0) fail_errno(path);
}

void stash_replaced(struct stash *stash, int parent, const char *base, const char *path) {
    struct stat st;
    if (fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) < 0) return;
    if (S_ISREG(st.st_mode) && st.st_size > 0) stash_file(stash, parent, base, path);
    if (!S_ISDIR(st.st_mode)) return;
    int directory = openat(parent, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory < 0) fail_errno(path);
    struct names names = read_names(directory, path);
    for (size_t i = 0; i < names.count; i++) {
        char *below = must_alloc(strlen(path) + strlen(names.list[i]) + 2);
        sprintf(below, "%s/%s", path, names.list[i]);
        stash_replaced(stash, directory, names.list[i], below);
        free(below);
    }
    free_names(&names);
    close(directory);
}

void stash_open(struct stash *stash, const char *skeleton) {
    char *path = stash_path(skeleton);
    stash->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (stash->directory < 0 && errno != ENOENT) fail_errno(path);
    free(path);
}

int stash_take(struct stash *stash, const char *path) {
    if (stash->directory < 0) return -1;
    char name[48];
    uint64_t *count = set_find(&stash->counts, path, true);
    stash_name(path, *count, name);
    int fd = openat(stash->directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0) ++*count;
    return fd;
}
