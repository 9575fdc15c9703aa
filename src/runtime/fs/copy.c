#include "fs.h"

#include <sys/ioctl.h>
#include <sys/xattr.h>

/* linux/fs.h: makes one file share the blocks of another, where the file system can. */
#define FICLONE_ _IOW(0x94, 9, int)

struct copy {
    const struct options *options;
    int destination;
    struct links links;
    bool no_clone, no_range;
    uint64_t size, entries;
    uint8_t *buffer;
};

static void copy_xattrs(int from, int to, const char *shown) {
    char list[65536];
    ssize_t length = flistxattr(from, list, sizeof list);
    for (ssize_t at = 0; at < length; at += (ssize_t)strlen(list + at) + 1) {
        uint8_t value[65536];
        if (!is_kept_xattr(list + at)) continue;
        ssize_t got = fgetxattr(from, list + at, value, sizeof value);
        if (got >= 0 && fsetxattr(to, list + at, value, (size_t)got, 0) < 0 && errno != ENOTSUP) fail_errno(shown);
    }
}

static void copy_bytes(struct copy *copy, int from, int to, const char *shown) {
    if (!copy->no_clone) {
        if (ioctl(to, FICLONE_, from) == 0) return;
        copy->no_clone = true;
    }
    while (!copy->no_range) {
        ssize_t got = copy_file_range(from, NULL, to, NULL, 1 << 30, 0);
        if (got == 0) return;
        if (got > 0) continue;
        if (errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP && errno != ENOSYS) fail_errno(shown);
        copy->no_range = true;
    }
    for (;;) {
        ssize_t got = read(from, copy->buffer, BUFFER_SIZE);
        if (got < 0) fail_errno(shown);
        if (got == 0) return;
        for (ssize_t done = 0; done < got;) {
            ssize_t put = write(to, copy->buffer + done, (size_t)(got - done));
            if (put < 0) fail_errno(shown);
            done += put;
        }
    }
}

static uid_t uid_of(const struct copy *copy, const struct stat *st) {
    return copy->options->has_owner ? copy->options->uid : st->st_uid;
}

static gid_t gid_of(const struct copy *copy, const struct stat *st) {
    return copy->options->has_owner ? copy->options->gid : st->st_gid;
}

static void copy_attributes(const struct copy *copy, int from, int to, const struct stat *st, const char *shown) {
    if (fchown(to, uid_of(copy, st), gid_of(copy, st)) < 0 || fchmod(to, st->st_mode & 07777) < 0) fail_errno(shown);
    copy_xattrs(from, to, shown);
    struct timespec times[2] = {st->st_mtim, st->st_mtim};
    if (futimens(to, times) < 0) fail_errno(shown);
}

static void copy_entry(struct copy *copy, int from, const char *name, int to, const char *new_name, const char *shown);

static void copy_content(struct copy *copy, int from, int to, const char *shown) {
    struct names names = read_names(from, shown);
    for (size_t i = 0; i < names.count; i++) {
        char *path = must_alloc(strlen(shown) + strlen(names.list[i]) + 2);
        sprintf(path, "%s/%s", shown, names.list[i]);
        copy_entry(copy, from, names.list[i], to, names.list[i], path);
        free(path);
    }
    free_names(&names);
}

static void copy_directory(struct copy *copy, int from, const char *name, int to, const char *new_name, const struct stat *st, const char *shown) {
    int source = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (source < 0) fail_errno(shown);
    if (mkdirat(to, new_name, 0700) < 0 && errno != EEXIST) fail_errno(shown);
    int target = openat(to, new_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (target < 0 && (errno == ENOTDIR || errno == ELOOP)) {
        remove_tree(to, new_name, shown);
        if (mkdirat(to, new_name, 0700) < 0) fail_errno(shown);
        target = openat(to, new_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    }
    if (target < 0) fail_errno(shown);
    copy_content(copy, source, target, shown);
    copy_attributes(copy, source, target, st, shown);
    close(source);
    close(target);
}

static bool link_known(struct copy *copy, const struct stat *st, int to, const char *new_name, const char *shown) {
    if (S_ISDIR(st->st_mode) || st->st_nlink < 2) return false;
    const char *first = first_name(&copy->links, st, shown);
    if (!first) return false;
    const char *base;
    char *above = parent_of(first, &base);
    while (*above == '/') memmove(above, above + 1, strlen(above));
    int parent = open_in(copy->destination, above, O_PATH | O_DIRECTORY, 0);
    bool linked = parent >= 0 && linkat(parent, base, to, new_name, 0) == 0;
    if (parent >= 0) close(parent);
    free(above);
    return linked;
}

static void copy_entry(struct copy *copy, int from, const char *name, int to, const char *new_name, const char *shown) {
    struct stat st;
    if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == ENOENT) return;
        fail_errno(shown);
    }
    if (S_ISSOCK(st.st_mode)) return;
    copy->entries++;
    if (S_ISDIR(st.st_mode)) {
        copy_directory(copy, from, name, to, new_name, &st, shown);
        return;
    }
    remove_tree(to, new_name, shown);
    if (link_known(copy, &st, to, new_name, shown)) return;
    if (S_ISREG(st.st_mode)) {
        int source = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        int target = source < 0 ? -1 : openat(to, new_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (target < 0) fail_errno(shown);
        if (st.st_size > 0) copy_bytes(copy, source, target, shown);
        copy_attributes(copy, source, target, &st, shown);
        copy->size += (uint64_t)st.st_size;
        close(source);
        if (close(target) < 0) fail_errno(shown);
        return;
    }
    if (S_ISLNK(st.st_mode)) {
        char link[PATH_MAX];
        ssize_t got = readlinkat(from, name, link, sizeof link - 1);
        if (got < 0) fail_errno(shown);
        link[got] = 0;
        if (symlinkat(link, to, new_name) < 0) fail_errno(shown);
    } else if (mknodat(to, new_name, st.st_mode, st.st_rdev) < 0) {
        fail_errno(shown);
    }
    if (fchownat(to, new_name, uid_of(copy, &st), gid_of(copy, &st), AT_SYMLINK_NOFOLLOW) < 0) fail_errno(shown);
    struct timespec times[2] = {st.st_mtim, st.st_mtim};
    if (utimensat(to, new_name, times, AT_SYMLINK_NOFOLLOW) < 0) fail_errno(shown);
}

void verb_copy(const struct options *options, int root, int destination) {
    struct copy copy = {.options = options, .buffer = must_alloc(BUFFER_SIZE)};
    copy.destination = open_in(destination, options->to_path ? options->to_path : ".", O_RDONLY | O_DIRECTORY, 0);
    if (copy.destination < 0) fail_errno(options->to_path ? options->to_path : options->to);
    bool copied = true;
    if (options->if_empty) {
        struct names names = read_names(copy.destination, options->to);
        copied = names.count == 0 || (names.count == 1 && strcmp(names.list[0], "lost+found") == 0);
    }
    const char *path = options->arguments[0];
    int source = open_in(root, path, O_PATH, 0);
    struct stat st;
    if (source < 0 || fstat(source, &st) < 0) fail_errno(path);
    close(source);
    if (copied && S_ISDIR(st.st_mode)) {
        source = open_in(root, path, O_RDONLY | O_DIRECTORY, 0);
        if (source < 0) fail_errno(path);
        copy_content(&copy, source, copy.destination, "");
        if (!options->no_root_attributes) copy_attributes(&copy, source, copy.destination, &st, path);
    } else if (copied) {
        char *resolved = resolve_text(root, path, true), *clean = clean_path(resolved);
        const char *base, *new_name;
        char *above = parent_of(clean, &base), *asked = clean_path(path);
        free(parent_of(asked ? asked : clean, &new_name));
        int parent = open_in(root, above, O_PATH | O_DIRECTORY, 0);
        if (parent < 0) fail_errno(path);
        copy_entry(&copy, parent, base, copy.destination, new_name, new_name);
    }
    printf("{\"copied\":%s,\"size\":%llu,\"entries\":%llu}\n", copied ? "true" : "false",
           (unsigned long long)copy.size, (unsigned long long)copy.entries);
}
