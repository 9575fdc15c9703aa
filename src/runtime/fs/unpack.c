#include "fs.h"

#include <sys/sysmacros.h>
#include <sys/xattr.h>

struct times { char *path; struct timespec when; };

struct unpack {
    const struct options *options;
    struct tar tar;
    int root; /* the directory that is unpacked into */
    char *parent_path; /* of the last entry, with its descriptor: archives go directory by directory */
    int parent;
    bool parent_gives_group; /* its set-group-id bit hands its group to what is made in it */
    struct set implicit; /* directories made without being listed */
    struct stash stash;
    struct set made; /* mode merged: what this layer put there survives its own opaque markers */
    struct times *times;
    size_t time_count, time_room;
    uint64_t entries, size;
    bool needs_parents;
};

static _Noreturn void refuse(const struct unpack *unpack, const char *why) {
    fail(EXIT_BAD_INPUT, "entry %s: %s", unpack->tar.entry.name, why);
}

static _Noreturn void refuse_errno(const struct unpack *unpack, const char *doing) {
    int error = errno;
    size_t room = strlen(unpack->tar.entry.name) + strlen(doing) + 16;
    char *what = must_alloc(room);
    snprintf(what, room, "entry %s: %s", unpack->tar.entry.name, doing);
    errno = error;
    if (error == ENOTDIR || error == ELOOP) fail(EXIT_BAD_INPUT, "%s: a part of its path is not a directory", what);
    fail_errno(what);
}

static void forget_parent(struct unpack *unpack) {
    if (unpack->parent >= 0) close(unpack->parent);
    unpack->parent = -1;
    free(unpack->parent_path);
    unpack->parent_path = NULL;
}

static void mark_opaque(const struct unpack *unpack, int directory) {
    if (fsetxattr(directory, "trusted.overlay.opaque", "y", 1, 0) < 0) refuse_errno(unpack, "marking it opaque");
}

/* A directory that the archive uses without listing it. In a layer, the lower layers may know its attributes. */
static void make_implicit(struct unpack *unpack, const char *path) {
    const char *base;
    char *above = parent_of(path, &base);
    int parent = open_in(unpack->root, above, O_PATH | O_DIRECTORY, 0);
    if (parent < 0) refuse_errno(unpack, "opening its directory");
    struct stat st;
    bool opaque = false;
    if (unpack->options->mode == MODE_LAYER && fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) == 0 && is_whiteout(&st)) {
        if (unlinkat(parent, base, 0) < 0) refuse_errno(unpack, "replacing a whiteout");
        opaque = true;
    }
    if (mkdirat(parent, base, 0755) < 0) {
        if (errno == EEXIST) refuse(unpack, "a part of its path is not a directory");
        refuse_errno(unpack, "making its directory");
    }
    if (unpack->options->has_owner && fchownat(parent, base, unpack->options->uid, unpack->options->gid, AT_SYMLINK_NOFOLLOW) < 0)
        refuse_errno(unpack, "setting the owner of its directory");
    if (opaque) {
        int fd = openat(parent, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) refuse_errno(unpack, "opening its directory");
        mark_opaque(unpack, fd);
        close(fd);
    } else {
        set_find(&unpack->implicit, path, true);
    }
    if (unpack->options->mode == MODE_MERGED) set_find(&unpack->made, path, true);
    close(parent);
    free(above);
}

/* Descriptor of the directory `path`, made with all above it when missing. Belongs to the cache. */
static int parent_directory(struct unpack *unpack, const char *path) {
    if (unpack->parent_path && strcmp(unpack->parent_path, path) == 0) return unpack->parent;
    forget_parent(unpack);
    int fd = open_in(unpack->root, path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        char *partial = must_dup(path);
        for (char *slash = partial;; slash++) {
            slash += strcspn(slash, "/");
            char held = *slash;
            *slash = 0;
            int probe = open_in(unpack->root, partial, O_PATH | O_DIRECTORY, 0);
            if (probe >= 0) close(probe);
            else if (errno == ENOENT || errno == ENOTDIR) make_implicit(unpack, partial);
            else refuse_errno(unpack, "opening its directory");
            *slash = held;
            if (!held) break;
        }
        free(partial);
        fd = open_in(unpack->root, path, O_RDONLY | O_DIRECTORY, 0);
    }
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) refuse_errno(unpack, "opening its directory");
    unpack->parent = fd;
    unpack->parent_gives_group = st.st_mode & S_ISGID;
    unpack->parent_path = must_dup(path);
    return fd;
}

/* Makes room for a new entry where something exists. True if that was a whiteout of this same layer. */
static bool clear_place(struct unpack *unpack, int parent, const char *base, bool for_directory) {
    struct stat st;
    if (fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == ENOENT) return false;
        refuse_errno(unpack, "looking at what it replaces");
    }
    bool directory = S_ISDIR(st.st_mode);
    if (unpack->options->keep_kinds && directory != for_directory)
        fail(EXIT_CONFLICT, "entry %s: cannot overwrite %s", unpack->tar.entry.name,
             directory ? "a directory with a non-directory" : "a non-directory with a directory");
    bool whiteout = unpack->options->mode == MODE_LAYER && is_whiteout(&st);
    int held = dup(parent);
    if (held < 0) refuse_errno(unpack, "replacing what is there");
    if (unpack->tar.skeleton) {
        char *path = clean_path(unpack->tar.entry.name);
        stash_replaced(&unpack->stash, held, base, path);
        free(path);
    }
    if (directory || S_ISLNK(st.st_mode)) forget_parent(unpack);
    remove_tree(held, base, unpack->tar.entry.name);
    close(held);
    return whiteout;
}

static void set_xattrs(struct unpack *unpack, const struct entry *entry, int fd, int parent, const char *base) {
    bool moved = false;
    for (size_t i = 0; i < entry->xattr_count; i++) {
        const struct xattr *xattr = &entry->xattrs[i];
        if (!is_kept_xattr(xattr->name)) continue;
        int result;
        if (fd >= 0) {
            result = fsetxattr(fd, xattr->name, xattr->value, xattr->size, 0);
        } else {
            /* There is no call that takes a directory and a name: be in the directory. */
            if (!moved && fchdir(parent) < 0) refuse_errno(unpack, "setting its xattrs");
            moved = true;
            result = lsetxattr(base, xattr->name, xattr->value, xattr->size, 0);
        }
        if (result < 0 && errno != ENOTSUP) refuse_errno(unpack, xattr->name);
    }
}

/* The owner that the entry shall have; whether it differs from what a new file gets. */
static bool owner_of(const struct unpack *unpack, const struct entry *entry, uid_t *uid, gid_t *gid) {
    *uid = unpack->options->has_owner ? unpack->options->uid : (uid_t)entry->uid;
    *gid = unpack->options->has_owner ? unpack->options->gid : (gid_t)entry->gid;
    return unpack->parent_gives_group || *uid != geteuid() || *gid != getegid();
}

static void put_file(struct unpack *unpack, const struct entry *entry, int parent, const char *base) {
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(parent, base, flags, entry->mode);
    if (fd < 0 && errno == EEXIST) {
        char *path = must_dup(unpack->parent_path);
        clear_place(unpack, parent, base, false);
        parent = parent_directory(unpack, path);
        free(path);
        fd = openat(parent, base, flags, entry->mode);
    }
    if (fd < 0) refuse_errno(unpack, "creating it");
    const uint8_t *data;
    for (size_t got; (got = tar_payload(&unpack->tar, &data)) > 0;) {
        for (size_t done = 0; done < got;) {
            ssize_t put = write(fd, data + done, got - done);
            if (put < 0 && errno == EINTR) continue;
            if (put < 0) refuse_errno(unpack, "writing it");
            done += (size_t)put;
        }
    }
    uid_t uid;
    gid_t gid;
    if (owner_of(unpack, entry, &uid, &gid) && fchown(fd, uid, gid) < 0) refuse_errno(unpack, "setting its owner");
    /* Writing and a change of owner take these bits away; access control lists of the directory may take others. */
    if (entry->mode & (S_ISUID | S_ISGID) && fchmod(fd, entry->mode) < 0) refuse_errno(unpack, "setting its mode");
    set_xattrs(unpack, entry, fd, -1, NULL);
    struct timespec times[2] = {{entry->mtime, entry->mtime_ns}, {entry->mtime, entry->mtime_ns}};
    if (futimens(fd, times) < 0) refuse_errno(unpack, "setting its time");
    if (close(fd) < 0) refuse_errno(unpack, "writing it");
    unpack->size += entry->size;
}

static void remember_time(struct unpack *unpack, const char *path, const struct entry *entry) {
    if (unpack->time_count == unpack->time_room) {
        unpack->time_room = unpack->time_room ? unpack->time_room * 2 : 256;
        unpack->times = must_realloc(unpack->times, unpack->time_room * sizeof *unpack->times);
    }
    unpack->times[unpack->time_count++] = (struct times){must_dup(path), {entry->mtime, entry->mtime_ns}};
}

static void put_directory(struct unpack *unpack, const struct entry *entry, int parent, const char *base, const char *path) {
    bool opaque = false;
    int fd = -1;
    if (*path) {
        if (mkdirat(parent, base, 0700) < 0 && errno != EEXIST) refuse_errno(unpack, "creating it");
        fd = openat(parent, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && (errno == ENOTDIR || errno == ELOOP)) {
            char *above = must_dup(unpack->parent_path);
            opaque = clear_place(unpack, parent, base, true);
            parent = parent_directory(unpack, above);
            free(above);
            if (mkdirat(parent, base, 0700) < 0) refuse_errno(unpack, "creating it");
            fd = openat(parent, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        }
    } else {
        fd = open_in(unpack->root, ".", O_RDONLY | O_DIRECTORY, 0);
    }
    if (fd < 0) refuse_errno(unpack, "creating it");
    uid_t uid;
    gid_t gid;
    owner_of(unpack, entry, &uid, &gid);
    if (fchown(fd, uid, gid) < 0) refuse_errno(unpack, "setting its owner");
    if (fchmod(fd, entry->mode) < 0) refuse_errno(unpack, "setting its mode");
    set_xattrs(unpack, entry, fd, -1, NULL);
    if (opaque) mark_opaque(unpack, fd);
    close(fd);
    set_remove(&unpack->implicit, path);
    remember_time(unpack, path, entry);
}

static void put_link(struct unpack *unpack, const struct entry *entry, int parent, const char *base, const char *path) {
    char *target = clean_path(entry->link);
    if (!target || !*target) refuse(unpack, "its hard link leads out of the archive");
    if (strcmp(target, path) == 0) refuse(unpack, "it is a hard link to itself");
    const char *target_base;
    char *target_parent = parent_of(target, &target_base);
    int from = open_in(unpack->root, target_parent, O_PATH | O_DIRECTORY, 0);
    int result = from < 0 ? -1 : linkat(from, target_base, parent, base, 0);
    if (result < 0 && from >= 0 && errno == EEXIST) {
        struct stat a, b;
        if (fstatat(from, target_base, &a, AT_SYMLINK_NOFOLLOW) == 0 &&
            fstatat(parent, base, &b, AT_SYMLINK_NOFOLLOW) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev) {
            result = 0;
        } else {
            char *above = must_dup(unpack->parent_path);
            clear_place(unpack, parent, base, false);
            parent = parent_directory(unpack, above);
            free(above);
            result = linkat(from, target_base, parent, base, 0);
        }
    }
    if (result < 0) {
        if (errno != ENOENT && errno != ENOTDIR) refuse_errno(unpack, "linking it");
        if (unpack->options->mode != MODE_LAYER) refuse(unpack, "its hard link leads to nothing");
        unpack->needs_parents = true;
    }
    if (unpack->tar.skeleton) set_find(&unpack->stash.linked, path, true);
    if (from >= 0) close(from);
    free(target_parent);
    free(target);
}

static void put_special(struct unpack *unpack, const struct entry *entry, int parent, const char *base) {
    for (int attempt = 0;; attempt++) {
        int result;
        if (entry->type == '2') result = symlinkat(entry->link, parent, base);
        else {
            mode_t kind = entry->type == '3' ? S_IFCHR : entry->type == '4' ? S_IFBLK : S_IFIFO;
            result = mknodat(parent, base, kind | entry->mode, makedev(entry->major, entry->minor));
        }
        if (result == 0) break;
        if (errno != EEXIST || attempt > 0) refuse_errno(unpack, "creating it");
        char *above = must_dup(unpack->parent_path);
        clear_place(unpack, parent, base, false);
        parent = parent_directory(unpack, above);
        free(above);
    }
    uid_t uid;
    gid_t gid;
    if (owner_of(unpack, entry, &uid, &gid) && fchownat(parent, base, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
        refuse_errno(unpack, "setting its owner");
    if (entry->type != '2' && entry->mode & (S_ISUID | S_ISGID) && fchmodat(parent, base, entry->mode, 0) < 0)
        refuse_errno(unpack, "setting its mode");
    set_xattrs(unpack, entry, -1, parent, base);
    struct timespec times[2] = {{entry->mtime, entry->mtime_ns}, {entry->mtime, entry->mtime_ns}};
    if (utimensat(parent, base, times, AT_SYMLINK_NOFOLLOW) < 0) refuse_errno(unpack, "setting its time");
}

/* Mode merged: everything of the lower layers below the directory goes, what this layer made stays. */
static void clear_lower(struct unpack *unpack, int parent, const char *parent_path) {
    struct names names = read_names(parent, unpack->tar.entry.name);
    for (size_t i = 0; i < names.count; i++) {
        char *path = must_alloc(strlen(parent_path) + strlen(names.list[i]) + 2);
        sprintf(path, "%s%s%s", parent_path, *parent_path ? "/" : "", names.list[i]);
        if (!set_find(&unpack->made, path, false)) remove_tree(parent, names.list[i], unpack->tar.entry.name);
        free(path);
    }
    free_names(&names);
}

/* True when the entry was a whiteout or other overlay bookkeeping and is done. */
static bool put_whiteout(struct unpack *unpack, const char *path, const char *base) {
    if (!is_marker(path, base)) return false;
    unpack->tar.payload_to_skeleton = true;
    if (strncmp(base, ".wh.", 4) != 0 || (strncmp(base, ".wh..wh.", 8) == 0 && strcmp(base, ".wh..wh..opq") != 0))
        return true; /* bookkeeping of aufs, which no image of today has */
    const char *base_again;
    char *above = parent_of(path, &base_again);
    int parent = parent_directory(unpack, above);
    if (strcmp(base, ".wh..wh..opq") == 0) {
        if (unpack->options->mode == MODE_LAYER) mark_opaque(unpack, parent);
        else clear_lower(unpack, parent, above);
        free(above);
        return true;
    }
    const char *name = base + 4;
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) refuse(unpack, "it is a broken whiteout");
    struct stat st;
    bool exists = fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (unpack->options->mode == MODE_MERGED) {
        char *hidden = must_alloc(strlen(above) + strlen(name) + 2);
        sprintf(hidden, "%s%s%s", above, *above ? "/" : "", name);
        if (exists && !set_find(&unpack->made, hidden, false)) remove_tree(parent, name, unpack->tar.entry.name);
        free(hidden);
    } else if (!exists) {
        if (mknodat(parent, name, S_IFCHR, makedev(0, 0)) < 0) refuse_errno(unpack, "making a whiteout");
    } else if (S_ISDIR(st.st_mode)) {
        int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) refuse_errno(unpack, "opening it");
        mark_opaque(unpack, fd);
        close(fd);
    }
    free(above);
    return true;
}

static void put_entry(struct unpack *unpack, const struct entry *entry) {
    char *path = clean_path(entry->name);
    if (!path) refuse(unpack, "it leads out of the archive");
    const char *base;
    char *above = parent_of(path, &base);
    if (strlen(base) > NAME_MAX) refuse(unpack, "its name is too long");
    if (!*path) {
        if (entry->type != '5') refuse(unpack, "the root of an archive must be a directory");
        put_directory(unpack, entry, -1, base, path);
    } else if (unpack->options->mode == MODE_PLAIN || !put_whiteout(unpack, path, base)) {
        int parent = parent_directory(unpack, above);
        switch (entry->type) {
        case '0':
            put_file(unpack, entry, parent, base);
            if (unpack->tar.skeleton) set_remove(&unpack->stash.linked, path);
            break;
        case '1': put_link(unpack, entry, parent, base, path); break;
        case '5': put_directory(unpack, entry, parent, base, path); break;
        default: put_special(unpack, entry, parent, base); break;
        }
        if (unpack->options->mode == MODE_MERGED) set_find(&unpack->made, path, true);
    }
    free(above);
    free(path);
}

static void set_times(struct unpack *unpack) {
    for (size_t i = unpack->time_count; i-- > 0;) {
        struct times *times = &unpack->times[i];
        int fd = open_in(unpack->root, times->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
        if (fd < 0) continue; /* replaced by a later entry */
        struct timespec both[2] = {times->when, times->when};
        if (futimens(fd, both) < 0) fail_errno(times->path);
        close(fd);
    }
}

static int destination(const struct options *options, int root) {
    const char *path = options->arguments[0];
    int fd = open_in(root, path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0 && errno == ENOENT && options->make_directory) {
        char *clean = clean_path(path);
        if (!clean) fail(EXIT_BAD_INPUT, "%s: it leads out of the root", path);
        for (char *slash = clean;; slash++) {
            slash += strcspn(slash, "/");
            char held = *slash;
            *slash = 0;
            const char *base;
            char *above = parent_of(clean, &base);
            int parent = open_in(root, above, O_PATH | O_DIRECTORY, 0);
            if (parent < 0) fail_errno(path);
            if (mkdirat(parent, base, 0755) == 0) {
                if (options->has_owner && fchownat(parent, base, options->uid, options->gid, AT_SYMLINK_NOFOLLOW) < 0)
                    fail_errno(path);
            } else if (errno != EEXIST) {
                fail_errno(path);
            }
            close(parent);
            free(above);
            *slash = held;
            if (!held) break;
        }
        free(clean);
        fd = open_in(root, path, O_RDONLY | O_DIRECTORY, 0);
    }
    if (fd < 0) fail_errno(path);
    return fd;
}

void verb_unpack(const struct options *options) {
    struct unpack unpack = {.options = options, .parent = -1};
    tar_open(&unpack.tar, options);
    if (options->skeleton) {
        unpack.tar.skeleton = skeleton_create(options->skeleton);
        stash_prepare(&unpack.stash, options->skeleton);
    }
    unpack.root = destination(options, enter_target(options));
    const struct entry *entry;
    while ((entry = tar_next(&unpack.tar))) {
        if (++unpack.entries > options->max_entries)
            fail(EXIT_BAD_INPUT, "the archive has more than %llu entries", (unsigned long long)options->max_entries);
        put_entry(&unpack, entry);
    }
    tar_drain(&unpack.tar);
    forget_parent(&unpack);
    set_times(&unpack);
    if (unpack.tar.skeleton) skeleton_close(unpack.tar.skeleton);
    char hex[65], raw[65];
    sha256_hex(&unpack.tar.hash, hex);
    sha256_hex(&unpack.tar.raw_hash, raw);
    printf("{\"digest\":\"%s\",\"inputDigest\":\"%s\",\"bytes\":%llu,\"size\":%llu,\"entries\":%llu,\"standalone\":%s}\n", hex, unpack.tar.gunzip ? raw : hex,
           (unsigned long long)unpack.tar.total, (unsigned long long)unpack.size, (unsigned long long)unpack.entries,
           !unpack.needs_parents && set_count(&unpack.implicit) == 0 ? "true" : "false");
}
