/*
 * The payload of LAUNCH. Keys that may come more than once: lower (topmost first), sysctl (`key=value`), port
 * (`protocol|host address|host port|container port`), and per extra mount: mount (its path), then either
 * mount-lower… or mount-type, mount-device, mount-options.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "shim.h"

void list_add(struct list *list, char *item) {
  /* Grows at powers of two; one more for a closing NULL. */
  if ((list->length & (list->length + 1)) == 0) {
    list->items = need(realloc(list->items, (list->length * 2 + 3) * sizeof *list->items));
  }
  list->items[list->length++] = item;
  list->items[list->length] = NULL;
}

static struct mount_request *mount_add(struct request *request, char *path) {
  struct mount_request *mount = need(calloc(1, sizeof *mount));
  mount->path = path;
  struct mount_request **at = &request->mounts;
  while (*at) at = &(*at)->next;
  return *at = mount;
}

const char *parse_request(struct request *request, uint8_t *payload, size_t length) {
  struct strings strings = strings_of(payload, length);
  struct mount_request *mount = NULL;
  const struct {
    const char *key;
    char **text;
  } texts[] = {
      {"id", &request->id},         {"runc", &request->runc},     {"runc-root", &request->runc_root},
      {"rootfs", &request->rootfs}, {"upper", &request->upper},   {"work", &request->work},
      {"cgroup", &request->cgroup}, {"log", &request->log_path},  {"log-attrs", &request->log_attrs},
  };
  const struct {
    const char *key;
    bool *flag;
  } flags[] = {
      {"own-network", &request->own_network}, {"tty", &request->tty}, {"open-stdin", &request->open_stdin},
      {"dns", &request->dns},                 {"log-compress", &request->log_compress},
      {"seccomp", &request->seccomp},         {"runc-exec", &request->runc_exec},
  };
  const struct {
    const char *key;
    uint64_t *number;
  } numbers[] = {{"log-size", &request->log_size}, {"log-files", &request->log_files}, {"seccomp-flags", &request->seccomp_flags}};
  const struct {
    const char *key;
    struct list *list;
  } lists[] = {{"lower", &request->lowers}, {"sysctl", &request->sysctls}, {"port", &request->ports}};

  for (char *key; (key = strings_next(&strings));) {
    char *value = strings_next(&strings);
    if (!value) return "a key without a value";
    bool known = false;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
      if (strcmp(key, texts[i].key) == 0) known = true, *texts[i].text = value;
    }
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
      if (strcmp(key, flags[i].key) == 0) known = true, *flags[i].flag = value[0] == '1';
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
      if (strcmp(key, numbers[i].key) != 0) continue;
      known = true;
      if (!parse_number(value, numbers[i].number)) return "a number that is none";
    }
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
      if (strcmp(key, lists[i].key) == 0) known = true, list_add(lists[i].list, value);
    }
    if (strcmp(key, "mount") == 0) known = true, mount = mount_add(request, value);
    if (mount && strcmp(key, "mount-lower") == 0) known = true, list_add(&mount->lowers, value);
    if (mount && strcmp(key, "mount-type") == 0) known = true, mount->type = value;
    if (mount && strcmp(key, "mount-device") == 0) known = true, mount->device = value;
    if (mount && strcmp(key, "mount-options") == 0) known = true, mount->options = value;
    if (!known) return "an unknown key";
  }
  if (!request->id || !request->runc || !request->runc_root) return "a key that is missing";
  if (!request->rootfs && (!request->upper || !request->work || request->lowers.length == 0)) return "no root";
  return NULL;
}
