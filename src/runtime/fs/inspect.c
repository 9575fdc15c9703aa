#include "fs.h"

#include <time.h>

static void print_stat(const struct stat *st, const char *name, const char *link) {
    printf("{\"name\":");
    json_string(stdout, name);
    printf(",\"sizeBytes\":%llu,\"mode\":%u,\"uid\":%u,\"gid\":%u,\"mtimeNs\":\"%lld\",\"ino\":\"%llu\",\"nlink\":%llu,\"rdev\":%llu,\"link\":",
           (unsigned long long)st->st_size, st->st_mode, st->st_uid, st->st_gid,
           (long long)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec, (unsigned long long)st->st_ino,
           (unsigned long long)st->st_nlink, (unsigned long long)st->st_rdev);
    json_string(stdout, link);
}

static void read_link(int parent, const char *name, const struct stat *st, char link[PATH_MAX]) {
    link[0] = 0;
    if (!S_ISLNK(st->st_mode)) return;
    ssize_t got = readlinkat(parent, name, link, PATH_MAX - 1);
    if (got < 0) fail_errno(name);
    link[got] = 0;
}

void verb_stat(const struct options *options, int root) {
    const char *path = options->arguments[0];
    size_t length = strlen(path);
    /* A trailing slash asks for a directory, so for what a link leads to. */
    bool slash = length > 1 && path[length - 1] == '/';
    char *resolved = resolve_text(root, path, options->follow || slash);
    char *clean = clean_path(resolved);
    const char *base, *asked_base;
    char *above = parent_of(clean, &base);
    int parent = open_in(root, above, O_PATH | O_DIRECTORY, 0);
    struct stat st;
    char link[PATH_MAX];
    if (parent < 0 || fstatat(parent, *base ? base : ".", &st, AT_SYMLINK_NOFOLLOW) < 0) fail_errno(path);
    if (slash && !S_ISDIR(st.st_mode)) {
        errno = ENOTDIR;
        fail_errno(path);
    }
    char *asked = clean_path(path);
    free(parent_of(asked ? asked : clean, &asked_base));
    read_link(parent, *base ? base : ".", &st, link);
    print_stat(&st, *asked_base ? asked_base : "/", link);
    printf(",\"resolved\":");
    json_string(stdout, resolved);
    printf(",\"linkTarget\":");
    char *target = S_ISLNK(st.st_mode) ? resolve_text(root, resolved, true) : must_dup("");
    json_string(stdout, target);
    puts("}");
}

static void list_directory(int directory, const char *prefix, bool recursive, dev_t device) {
    struct names names = read_names(directory, *prefix ? prefix : "/");
    for (size_t i = 0; i < names.count; i++) {
        struct stat st;
        char link[PATH_MAX];
        if (fstatat(directory, names.list[i], &st, AT_SYMLINK_NOFOLLOW) < 0) continue;
        read_link(directory, names.list[i], &st, link);
        char *path = must_alloc(strlen(prefix) + strlen(names.list[i]) + 2);
        sprintf(path, "%s%s%s", prefix, *prefix ? "/" : "", names.list[i]);
        print_stat(&st, names.list[i], link);
        printf(",\"path\":");
        json_string(stdout, path);
        puts("}");
        if (recursive && S_ISDIR(st.st_mode)) {
            int child = openat(directory, names.list[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (child >= 0) {
                list_directory(child, path, true, device);
                close(child);
            }
        }
        free(path);
    }
    free_names(&names);
}

void verb_list(const struct options *options, int root) {
    int directory = open_in(root, options->arguments[0], O_RDONLY | O_DIRECTORY, 0);
    struct stat st;
    if (directory < 0 || fstat(directory, &st) < 0) fail_errno(options->arguments[0]);
    list_directory(directory, "", options->recursive, st.st_dev);
}

void verb_cat(const struct options *options, int root) {
    const char *path = options->arguments[0];
    int fd = open_in(root, path, O_RDONLY | O_NONBLOCK, 0);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) fail_errno(path);
    if (!S_ISREG(st.st_mode)) fail(EXIT_CONFLICT, "%s: not a regular file", path);
    uint8_t *buffer = must_alloc(BUFFER_SIZE);
    uint64_t total = 0;
    for (ssize_t got; (got = read(fd, buffer, BUFFER_SIZE)) != 0;) {
        if (got < 0) fail_errno(path);
        total += (uint64_t)got;
        if (total > options->max_bytes) fail(EXIT_BAD_INPUT, "%s: larger than %llu bytes", path, (unsigned long long)options->max_bytes);
        if (fwrite(buffer, 1, (size_t)got, stdout) != (size_t)got) fail_errno("writing");
    }
}

struct usage { struct links links; uint64_t allocated, size, entries; };

static void add_usage(struct usage *usage, int directory, const char *shown) {
    struct names names = read_names(directory, shown);
    for (size_t i = 0; i < names.count; i++) {
        struct stat st;
        if (fstatat(directory, names.list[i], &st, AT_SYMLINK_NOFOLLOW) < 0) continue;
        usage->entries++;
        if (S_ISDIR(st.st_mode) || st.st_nlink < 2 || !first_name(&usage->links, &st, "x")) {
            usage->allocated += (uint64_t)st.st_blocks * 512;
            if (!S_ISDIR(st.st_mode)) usage->size += (uint64_t)st.st_size;
        }
        if (!S_ISDIR(st.st_mode)) continue;
        int child = openat(directory, names.list[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (child < 0) continue;
        add_usage(usage, child, names.list[i]);
        close(child);
    }
    free_names(&names);
}

void verb_usage(const struct options *options, int root) {
    struct usage usage = {0};
    int directory = open_in(root, options->arguments[0], O_RDONLY | O_DIRECTORY, 0);
    if (directory < 0) fail_errno(options->arguments[0]);
    add_usage(&usage, directory, "/");
    printf("{\"allocated\":%llu,\"size\":%llu,\"entries\":%llu}\n", (unsigned long long)usage.allocated,
           (unsigned long long)usage.size, (unsigned long long)usage.entries);
}

static void print_change(char kind, const char *path) {
    printf("{\"kind\":\"%c\",\"path\":", kind);
    json_string(stdout, path);
    puts("}");
}

/* `in_lower`: whether the directory stands in the lower layers too; below a new one everything is new. */
static void diff_directory(int root, int upper, const char *prefix, bool in_lower) {
    struct names names = read_names(upper, *prefix ? prefix : "/");
    for (size_t i = 0; i < names.count; i++) {
        struct stat st, old;
        if (fstatat(upper, names.list[i], &st, AT_SYMLINK_NOFOLLOW) < 0) continue;
        char *path = must_alloc(strlen(prefix) + strlen(names.list[i]) + 2);
        sprintf(path, "%s/%s", prefix, names.list[i]);
        bool existed = in_lower && fstatat(root, path + 1, &old, AT_SYMLINK_NOFOLLOW) == 0 && !is_whiteout(&old);
        if (is_whiteout(&st)) {
            if (existed) print_change('D', path);
        } else {
            print_change(existed ? 'C' : 'A', path);
            if (S_ISDIR(st.st_mode)) {
                int child = openat(upper, names.list[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (child < 0) fail_errno(path);
                diff_directory(root, child, path, existed && S_ISDIR(old.st_mode));
                close(child);
            }
        }
        free(path);
    }
    free_names(&names);
}

void verb_diff(const struct options *options, int root, int upper) {
    (void)options;
    diff_directory(root, upper, "", true);
}
