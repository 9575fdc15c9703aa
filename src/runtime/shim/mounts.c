/*
 * The container's root and what runc binds into it, in the shim's own mount namespace: it goes with the shim and the
 * container. By the new mount interface, where every layer is an option of its own; on older kernels by mount(2), whose
 * options must fit a page, so the layers' common folder is made the working directory and left out of them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim.h"

/* Not in the headers of every C library. */
#define SET_FLAG 0
#define SET_STRING 1
#define CMD_CREATE 6

/* What the kernel says of a mount that failed. */
static char kernel_words[256];

static int set_option(int context, const char *key, const char *value) {
  return (int)syscall(SYS_fsconfig, context, value ? SET_STRING : SET_FLAG, key, value, 0);
}

/* 0, -1 for what cannot be mounted, 1 when this kernel cannot do it this way. */
static int mount_by_context(const struct list *lowers, const char *upper, const char *work, const char *target) {
  int context = (int)syscall(SYS_fsopen, "overlay", 1 /* FSOPEN_CLOEXEC */);
  if (context < 0) return 1;
  int result = 0;
  for (size_t i = 0; i < lowers->length && result == 0; i++) {
    if (set_option(context, "lowerdir+", lowers->items[i]) != 0) result = errno == EINVAL && i == 0 ? 1 : -1;
  }
  if (result == 0 && upper) {
    if (set_option(context, "upperdir", upper) != 0 || set_option(context, "workdir", work) != 0) result = -1;
  }
  if (result == 0) {
    (void)set_option(context, "source", "overlay");
    /* A layer must stay valid on its own, and no layer can be pinned by an index of file handles. */
    (void)set_option(context, "index", "off");
    (void)set_option(context, "metacopy", "off");
    if (upper) (void)set_option(context, "redirect_dir", "off");
    else (void)set_option(context, "ro", NULL);
    if (syscall(SYS_fsconfig, context, CMD_CREATE, NULL, NULL, 0) != 0) result = -1;
  }
  int mounted = result == 0 ? (int)syscall(SYS_fsmount, context, 1 /* FSMOUNT_CLOEXEC */, 0) : -1;
  if (result == 0 && mounted < 0) result = -1;
  int reason = errno;
  if (result < 0) {
    ssize_t count = read(context, kernel_words, sizeof kernel_words - 1);
    kernel_words[count > 0 ? count : 0] = 0;
  }
  close(context);
  if (mounted >= 0) {
    if (syscall(SYS_move_mount, mounted, "", AT_FDCWD, target, 4 /* MOVE_MOUNT_F_EMPTY_PATH */) != 0) {
      result = -1;
      reason = errno;
    }
    close(mounted);
  }
  errno = reason;
  return result;
}

static size_t common_folder(const struct list *lowers) {
  size_t length = strlen(lowers->items[0]);
  for (size_t i = 0; i < lowers->length; i++) {
    const char *item = lowers->items[i];
    size_t same = 0, slash = 0;
    for (; same < length && item[same] == lowers->items[0][same]; same++) {
      if (item[same] == '/') slash = same;
    }
    length = slash;
  }
  return length;
}

static int mount_by_options(const struct list *lowers, const char *upper, const char *work, const char *target) {
  struct queue options = {0};
  size_t folder = common_folder(lowers);
  char *here = format("%.*s/", (int)folder, lowers->items[0]);
  queue_add(&options, "lowerdir=", 9);
  for (size_t i = 0; i < lowers->length; i++) {
    if (i > 0) queue_add(&options, ":", 1);
    queue_add(&options, lowers->items[i] + folder + 1, strlen(lowers->items[i] + folder + 1));
  }
  if (upper) {
    char *rest = format(",upperdir=%s,workdir=%s", upper, work);
    queue_add(&options, rest, strlen(rest));
    free(rest);
  }
  queue_add(&options, "", 1);
  int result = -1;
  errno = E2BIG;
  if (options.end < 4096 && chdir(here) == 0) {
    result = mount("overlay", target, "overlay", upper ? 0 : MS_RDONLY, (char *)options.data);
    int reason = errno;
    if (chdir(shim.bundle) != 0) result = -1;
    errno = reason;
  }
  free(options.data);
  free(here);
  return result;
}

static char *mount_layers(const struct list *lowers, const char *upper, const char *work, const char *target) {
  if (lowers->length == 0) return format("mount layers at %s: none given", target);
  /* An overlay without an upper directory has two lower ones at least. */
  if (!upper && lowers->length == 1) {
    if (mount(lowers->items[0], target, NULL, MS_BIND, NULL) != 0 ||
        mount(NULL, target, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) != 0) {
      return format("bind %s at %s: %s", lowers->items[0], target, strerror(errno));
    }
    return NULL;
  }
  int result = mount_by_context(lowers, upper, work, target);
  if (result > 0) result = mount_by_options(lowers, upper, work, target);
  if (result == 0) return NULL;
  return format("mount overlay of %zu layers at %s: %s%s%s", lowers->length, target, strerror(errno),
                kernel_words[0] ? ": " : "", kernel_words);
}

/* ---- other mounts ---- */

static bool make_directories(const char *path) {
  char *text = copy(path);
  for (char *slash = strchr(text + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    if (mkdir(text, 0755) != 0 && errno != EEXIST) break;
    *slash = '/';
  }
  bool made = mkdir(text, 0755) == 0 || errno == EEXIST;
  free(text);
  return made;
}

static const struct {
  const char *name;
  unsigned long set, clear;
} flags[] = {
    {"ro", MS_RDONLY, 0},         {"rw", 0, MS_RDONLY},       {"nosuid", MS_NOSUID, 0},
    {"suid", 0, MS_NOSUID},       {"nodev", MS_NODEV, 0},     {"dev", 0, MS_NODEV},
    {"noexec", MS_NOEXEC, 0},     {"exec", 0, MS_NOEXEC},     {"sync", MS_SYNCHRONOUS, 0},
    {"dirsync", MS_DIRSYNC, 0},   {"noatime", MS_NOATIME, 0}, {"nodiratime", MS_NODIRATIME, 0},
    {"relatime", MS_RELATIME, 0}, {"strictatime", MS_STRICTATIME, 0},
    {"bind", MS_BIND, 0},         {"rbind", MS_BIND | MS_REC, 0},
    {"defaults", 0, 0},           {"", 0, 0},
};

static char *mount_other(const struct mount_request *request) {
  if (strcmp(request->type, "process") == 0 && request->device && request->options) {
    return mount_of_process(request->device, request->options, request->path);
  }
  unsigned long set = 0;
  struct queue data = {0};
  char *text = copy(request->options ? request->options : ""), *save = NULL;
  for (char *option = strtok_r(text, ",", &save); option; option = strtok_r(NULL, ",", &save)) {
    size_t i = 0;
    while (i < sizeof flags / sizeof *flags && strcmp(option, flags[i].name) != 0) i++;
    if (i < sizeof flags / sizeof *flags) {
      set = (set | flags[i].set) & ~flags[i].clear;
      continue;
    }
    if (data.end > 0) queue_add(&data, ",", 1);
    queue_add(&data, option, strlen(option));
  }
  queue_add(&data, "", 1);
  const char *device = request->device ? request->device : request->type;
  char *error = NULL;
  if (mount(device, request->path, request->type, set, (char *)data.data) != 0 ||
      ((set & MS_BIND) && (set & ~(unsigned long)(MS_BIND | MS_REC)) &&
       mount(NULL, request->path, NULL, (set & ~(unsigned long)MS_REC) | MS_REMOUNT, NULL) != 0)) {
    error = format("failed to mount local volume: mount %s:%s, data: %s: %s", device, request->path, (char *)data.data,
                   strerror(errno));
  }
  free(data.data);
  free(text);
  return error;
}

char *make_mounts(const struct request *request) {
  char *root = format("%s/rootfs", shim.bundle), *error = NULL;
  if (!make_directories(root)) error = format("make %s: %s", root, strerror(errno));
  else if (request->rootfs) {
    if (mount(request->rootfs, root, NULL, MS_BIND | MS_REC, NULL) != 0) {
      error = format("bind %s at %s: %s", request->rootfs, root, strerror(errno));
    }
  } else if (!make_directories(request->upper) || !make_directories(request->work)) {
    error = format("make %s: %s", request->upper, strerror(errno));
  } else {
    error = mount_layers(&request->lowers, request->upper, request->work, root);
  }
  for (const struct mount_request *mount = request->mounts; mount && !error; mount = mount->next) {
    if (!make_directories(mount->path)) error = format("make %s: %s", mount->path, strerror(errno));
    else error = mount->type ? mount_other(mount) : mount_layers(&mount->lowers, NULL, NULL, mount->path);
  }
  free(root);
  return error;
}

/* Before the exit is told: whoever hears of it may mount the same directories again at once. */
void remove_mounts(void) {
  for (const struct mount_request *mount = shim.request.mounts; mount; mount = mount->next) {
    (void)umount2(mount->path, MNT_DETACH);
  }
  char *root = format("%s/rootfs", shim.bundle);
  if (umount2(root, 0) != 0) (void)umount2(root, MNT_DETACH);
  free(root);
}
