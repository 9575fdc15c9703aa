/*
 * `tcompose-shim spawn`: starts shims for a process that is expensive to fork.
 *
 * On fd 3 come lines `FD BUNDLE`; fd FD, which we were given at our own start, becomes the launching connection of a
 * shim for that bundle. The answer is `FD PID`. The shims are nobody's children, and we end when fd 3 does.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim.h"

#define CONTROL 3
#define LINE_LIMIT 8192

static noreturn void become_shim(int connection, char *bundle) {
  int null = open("/dev/null", O_RDWR);
  for (int standard = 0; standard <= 2; standard++) {
    if (dup2(null, standard) < 0) _exit(1);
  }
  if (dup2(connection, LAUNCHER) < 0) _exit(1);
  (void)syscall(SYS_close_range, LAUNCHER + 1u, ~0u, 0u);
  char *argv[] = {"tcompose-shim", "run", bundle, NULL};
  execv("/proc/self/exe", argv);
  _exit(1);
}

/* By way of a child that ends at once, so that the shim belongs to the system's own reaper. */
static void spawn_one(int connection, char *bundle) {
  pid_t between = fork();
  if (between == 0) {
    (void)setsid();
    pid_t shim_pid = fork();
    if (shim_pid == 0) become_shim(connection, bundle);
    char answer[32];
    int length = snprintf(answer, sizeof answer, "%d %d\n", connection, shim_pid > 0 ? (int)shim_pid : 0);
    _exit(write(CONTROL, answer, (size_t)length) == length ? 0 : 1);
  }
  while (between > 0 && waitpid(between, NULL, 0) < 0 && errno == EINTR) {
  }
  /* The shim's is the only one now: whoever launched it learns of its end, and it of theirs. */
  close(connection);
}

static void take_line(char *line) {
  char *space = strchr(line, ' ');
  int connection = atoi(line);
  if (space && connection > CONTROL) spawn_one(connection, space + 1);
}

int spawner_main(void) {
  static char held[LINE_LIMIT];
  size_t length = 0;
  for (;;) {
    ssize_t count = read(CONTROL, held + length, sizeof held - length);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return 0;
    length += (size_t)count;
    char *end;
    while ((end = memchr(held, '\n', length))) {
      *end = '\0';
      take_line(held);
      size_t used = (size_t)(end - held) + 1;
      memmove(held, end + 1, length - used);
      length -= used;
    }
    if (length == sizeof held) return 1;
  }
}
