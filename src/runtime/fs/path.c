#include "fs.h"

#include <dirent.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#ifndef SYS_openat2
#define SYS_openat2 437
#endif

/* linux/openat2.h; musl-gcc does not see the kernel's headers. */
struct how { uint64_t flags, mode, resolve; };
enum { RESOLVE_NO_MAGICLINKS = 0x02, RESOLVE_IN_ROOT = 0x10 };

int open_in(int root, const char *path, int flags, mode_t mode) {
    struct how how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
        .mode = flags & O_CREAT ? mode : 0,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    int fd;
    /* EAGAIN: something was renamed meanwhile, and the kernel cannot be sure that we are still inside. */
    do fd = (int)syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof how);
    while (fd < 0 && (errno == EAGAIN || errno == EINTR));
    return fd;
}

char *clean_path(const char *path) {
    char *clean = must_alloc(strlen(path) + 1);
    size_t length = 0;
    while (*path) {
        size_t part = strcspn(path, "/");
        if (part == 2 && path[0] == '.' && path[1] == '.') {
            if (length == 0) {
                free(clean);
                return NULL;
            }
            while (length > 0 && clean[--length] != '/') continue;
        } else if (part > 0 && !(part == 1 && path[0] == '.')) {
            if (length) clean[length++] = '/';
            memcpy(clean + length, path, part);
            length += part;
        }
        path += part;
        while (*path == '/') path++;
    }
    clean[length] = 0;
    return clean;
}

char *parent_of(const char *path, const char **base) {
    const char *slash = strrchr(path, '/');
    *base = slash ? slash + 1 : path;
    size_t length = slash ? (size_t)(slash - path) : 0;
    char *parent = must_alloc(length + 1);
    memcpy(parent, path, length);
    return parent;
}

char *resolve_text(int root, const char *path, bool follow_last) {
    char *rest = must_dup(path);
    char *done = must_alloc(PATH_MAX * 2);
    size_t length = 0;
    int links = 0;
    for (char *at = rest;;) {
        while (*at == '/') at++;
        if (!*at) break;
        size_t part = strcspn(at, "/");
        char *after = at + part;
        while (*after == '/') after++;
        bool last = !*after;
        if (part == 1 && *at == '.') {
            at += part;
            continue;
        }
        if (part == 2 && at[0] == '.' && at[1] == '.') {
            while (length > 0 && done[--length] != '/') continue;
            done[length] = 0;
            at += part;
            continue;
        }
        size_t before = length;
        if (length + part + 2 > PATH_MAX * 2) {
            errno = ENAMETOOLONG;
            fail_errno(path);
        }
        done[length++] = '/';
        memcpy(done + length, at, part);
        length += part;
        done[length] = 0;
        at += part;
        char target[PATH_MAX];
        int fd = last && !follow_last ? -1 : open_in(root, done, O_PATH | O_NOFOLLOW, 0);
        if (fd < 0) continue;
        ssize_t got = readlinkat(fd, "", target, sizeof target - 1);
        close(fd);
        if (got <= 0) continue;
        if (++links > 255) {
            errno = ELOOP;
            fail_errno(path);
        }
        target[got] = 0;
        char *next = must_alloc((size_t)got + strlen(at) + 2);
        sprintf(next, "%s/%s", target, at);
        free(rest);
        rest = at = next;
        length = target[0] == '/' ? 0 : before;
        done[length] = 0;
    }
    if (length == 0) strcpy(done, "/");
    free(rest);
    return done;
}

bool is_whiteout(const struct stat *st) { return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0); }

bool is_marker(const char *path, const char *base) {
    if (strncmp(base, ".wh.", 4) == 0) return true;
    for (const char *at = strstr(path, ".wh..wh."); at; at = strstr(at + 1, ".wh..wh."))
        if (at == path || at[-1] == '/') return true;
    return false;
}

bool is_kept_xattr(const char *name) {
    static const char *const dropped[] = {"trusted.overlay.", "user.overlay.", "security.selinux", "security.ima",
                                          "security.evm",     "security.apparmor"};
    for (size_t i = 0; i < sizeof dropped / sizeof *dropped; i++)
        if (strncmp(name, dropped[i], strlen(dropped[i])) == 0) return false;
    return true;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

struct names read_names(int directory, const char *shown) {
    struct names names = {0};
    size_t room = 0;
    int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = copy < 0 ? NULL : fdopendir(copy);
    if (!stream) fail_errno(shown);
    for (;;) {
        errno = 0;
        struct dirent *item = readdir(stream);
        if (!item) break;
        if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0) continue;
        if (names.count == room) {
            room = room ? room * 2 : 32;
            names.list = must_realloc(names.list, room * sizeof *names.list);
        }
        names.list[names.count++] = must_dup(item->d_name);
    }
    if (errno) fail_errno(shown);
    closedir(stream);
    if (names.count) qsort(names.list, names.count, sizeof *names.list, compare_names);
    return names;
}

void free_names(struct names *names) {
    for (size_t i = 0; i < names->count; i++) free(names->list[i]);
    free(names->list);
}

/* Removes what is in `directory`; depth is bounded by memory for names, not by descriptors: children first closed. */
static void remove_content(int directory, const char *shown) {
    DIR *stream = fdopendir(directory);
    if (!stream) fail_errno(shown);
    struct dirent *item;
    while ((item = readdir(stream))) {
        if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0) continue;
        if (item->d_type != DT_DIR && unlinkat(directory, item->d_name, 0) == 0) continue;
        remove_tree(directory, item->d_name, shown);
    }
    closedir(stream);
}

void remove_tree(int parent, const char *name, const char *shown) {
    for (int attempt = 0; attempt < 5; attempt++) {
        if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) return;
        if (errno != EISDIR && errno != EPERM) fail_errno(shown);
        if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return;
        if (errno != ENOTEMPTY && errno != EEXIST) fail_errno(shown);
        int directory = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (directory < 0) {
            if (errno == ENOENT || errno == ENOTDIR) continue;
            fail_errno(shown);
        }
        remove_content(directory, shown);
    }
    if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT) fail_errno(shown);
}
