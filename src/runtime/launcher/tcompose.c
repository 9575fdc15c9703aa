/*
 * dist/tcompose: finds the right Node and becomes it.
 *
 * A shell script would do, at the price of a fork per start and of guessing its own place behind symlinks; this costs
 * a third of a millisecond. Order of search: $TCOMPOSE_NODE, `node` beside this program, the `node` package of the
 * checkout it was built in, `node` on PATH (main.cjs refuses one that is too old).
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FLAGS 3

static void try_node(const char *node, char **args) {
  args[0] = (char *)node;
  execv(node, args);
  if (errno != ENOENT && errno != ENOTDIR) fprintf(stderr, "tcompose: %s: %s\n", node, strerror(errno));
}

int main(int argc, char **argv) {
  char self[PATH_MAX], path[PATH_MAX + 64], script[PATH_MAX + 64];
  ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  if (length < 0) {
    perror("tcompose: /proc/self/exe");
    return 1;
  }
  self[length] = 0;
  char *slash = strrchr(self, '/');
  if (slash) *slash = 0;

  char **args = calloc((size_t)argc + FLAGS + 2, sizeof *args);
  if (!args) return 1;
  snprintf(script, sizeof script, "%s/main.cjs", self);
  args[1] = "--disable-warning=ExperimentalWarning";
  args[2] = "--no-deprecation";
  args[3] = script;
  memcpy(args + FLAGS + 1, argv + 1, (size_t)(argc > 0 ? argc - 1 : 0) * sizeof *args);

  const char *chosen = getenv("TCOMPOSE_NODE");
  if (chosen && *chosen) try_node(chosen, args);
  snprintf(path, sizeof path, "%s/node", self);
  try_node(path, args);
  snprintf(path, sizeof path, "%s/../node_modules/node/bin/node", self);
  try_node(path, args);
  args[0] = "node";
  execvp("node", args);
  fprintf(stderr, "tcompose: no Node.js found: install Node 24 or newer, or set TCOMPOSE_NODE\n");
  return 1;
}
