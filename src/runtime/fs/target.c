#include "fs.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#ifndef SYS_move_mount
#define SYS_move_mount 429
#define SYS_fsopen 430
#define SYS_fsconfig 431
#define SYS_fsmount 432
#endif

/* linux/mount.h, which musl-gcc does not see. */
enum { FSOPEN_CLOEXEC_ = 1, FSMOUNT_CLOEXEC_ = 1, MOVE_MOUNT_F_EMPTY_PATH_ = 4 };
enum { FSCONFIG_SET_STRING_ = 1, FSCONFIG_CMD_CREATE_ = 6 };

static int become_root(int fd) {
    if (fchdir(fd) < 0 || chroot(".") < 0 || chdir("/") < 0) fail_errno("entering the root");
    int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) fail_errno("entering the root");
    close(fd);
    return root;
}

static int enter_directory(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) fail_errno(path);
    return become_root(fd);
}

/* Field 22 of /proc/PID/stat, read through the directory so that it is this process and no later one of the same pid. */
static bool started_at(int process, const char *expected) {
    char text[1024];
    int fd = openat(process, "stat", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    if (got <= 0) return false;
    text[got] = 0;
    char *at = strrchr(text, ')');
    for (int field = 2; at && field < 22; field++) {
        at = strchr(at + 1, ' ');
    }
    if (!at) return false;
    at++;
    size_t length = strcspn(at, " ");
    return strlen(expected) == length && strncmp(at, expected, length) == 0;
}

static int enter_process(const struct options *options) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%llu", (unsigned long long)parse_number(options->pid, "--pid"));
    int process = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (process < 0 || (options->pid_start && !started_at(process, options->pid_start)))
        fail(EXIT_MISSING, "process %s is gone", options->pid);
    int mounts = openat(process, "ns/mnt", O_RDONLY | O_CLOEXEC);
    int root = openat(process, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (mounts < 0 || root < 0) {
        if (errno == EACCES || errno == EPERM) fail_errno(path);
        fail(EXIT_MISSING, "process %s is gone", options->pid);
    }
    if (setns(mounts, CLONE_NEWNS) < 0) fail_errno("entering the mount namespace");
    close(mounts);
    close(process);
    return become_root(root);
}

static bool configure(int context, const char *key, const char *value) {
    return syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING_, key, value, 0) == 0;
}

/* The mount interface that takes any number of layers of any length; false where the kernel does not know it. */
static bool mount_by_parts(const struct options *options, const char *at) {
    int context = (int)syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC_);
    if (context < 0) return false;
    bool ok = true;
    for (size_t i = 0; ok && i < options->lower_count; i++) ok = configure(context, "lowerdir+", options->lowers[i]);
    if (ok && options->upper) ok = configure(context, "upperdir", options->upper);
    if (ok && options->work) ok = configure(context, "workdir", options->work);
    ok = ok && syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE_, NULL, NULL, 0) == 0;
    int mounted = ok ? (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC_, 0) : -1;
    close(context);
    if (mounted < 0) return false;
    ok = syscall(SYS_move_mount, mounted, "", AT_FDCWD, at, MOVE_MOUNT_F_EMPTY_PATH_) == 0;
    close(mounted);
    return ok;
}

static void append(char *text, size_t room, const char *part, const char *value) {
    size_t length = strlen(text);
    if ((size_t)snprintf(text + length, room - length, "%s%s", part, value) >= room - length)
        fail(EXIT_UNSUPPORTED, "too many layers for this kernel");
}

/* Lowers relative to the directory of the first keep the options within the page that mount(2) takes. */
static void mount_by_text(const struct options *options, const char *at) {
    char text[4096] = "";
    const char *base;
    char *directory = parent_of(options->lowers[0], &base);
    size_t length = strlen(directory);
    if (chdir(*directory ? directory : "/") < 0) fail_errno(directory);
    for (size_t i = 0; i < options->lower_count; i++) {
        const char *lower = options->lowers[i];
        if (length > 0 && strncmp(lower, directory, length) == 0 && lower[length] == '/') lower += length + 1;
        append(text, sizeof text, i ? ":" : "lowerdir=", lower);
    }
    if (options->upper) append(text, sizeof text, ",upperdir=", options->upper);
    if (options->work) append(text, sizeof text, ",workdir=", options->work);
    free(directory);
    if (mount("overlay", at, "overlay", 0, text) < 0) fail_errno("mounting the layers");
}

/* Binds a volume where it stands in the container; the target is looked up inside the root. */
static void bind_in(int root, const struct bind *bind) {
    int target = open_in(root, bind->target, O_PATH, 0);
    if (target < 0) return; /* the runtime makes it at start; until then there is nothing to see */
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", target);
    if (mount(bind->source, path, NULL, MS_BIND | MS_REC, NULL) < 0) fail_errno(bind->source);
    close(target);
    if (!bind->read_only) return;
    target = open_in(root, bind->target, O_PATH, 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", target);
    if (target < 0 || mount(NULL, path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) < 0) fail_errno(bind->target);
    close(target);
}

static int enter_overlay(const struct options *options) {
    if (unshare(CLONE_NEWNS) < 0) fail_errno("making a mount namespace");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) fail_errno("making the mounts private");
    /* Any directory serves as mount point in a namespace of our own; a layer covers nothing that we still need. */
    const char *at = options->lowers[0];
    if (options->lower_count > 1 || options->upper) {
        if (!mount_by_parts(options, at)) mount_by_text(options, at);
    } else if (mount(at, at, NULL, MS_BIND, NULL) < 0 || mount(NULL, at, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) < 0) {
        fail_errno(at);
    }
    int fd = open(at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) fail_errno(at);
    for (size_t i = 0; i < options->bind_count; i++) bind_in(fd, &options->binds[i]);
    return become_root(fd);
}

int enter_target(const struct options *options) {
    if (options->pid) return enter_process(options);
    if (options->lower_count > 0) return enter_overlay(options);
    if (options->root) return enter_directory(options->root);
    fail(EXIT_USAGE, "no target: --root, --pid or --lower is needed");
}
