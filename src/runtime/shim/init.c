/*
 * Pid 1 of a container that asked for an init: `docker-init -- COMMAND…`.
 *
 * It runs the command as its child in a process group of its own (in the foreground of the terminal, if there is one),
 * passes every signal on to it, reaps whatever is left to pid 1, and ends as the command ended: with its exit code, or
 * with 128 + the signal that killed it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init.h"

#define EXIT_USAGE 1
#define EXIT_NOT_EXECUTABLE 126
#define EXIT_NOT_FOUND 127

/* Faults of our own: they are not for the child. */
static const int own_signals[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS};

static void run_child(char **argv, const sigset_t *mask) {
  if (setpgid(0, 0) == 0 && isatty(STDIN_FILENO)) {
    /* From a background group this would stop us; pid 1 blocks SIGTTOU, and so do we, until the mask is restored. */
    (void)tcsetpgrp(STDIN_FILENO, getpgrp());
  }
  if (sigprocmask(SIG_SETMASK, mask, NULL) != 0) _exit(EXIT_NOT_EXECUTABLE);
  execvp(argv[0], argv);
  int reason = errno;
  fprintf(stderr, "exec %s failed: %s\n", argv[0], strerror(reason));
  _exit(reason == ENOENT || reason == ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

static int exit_code_of(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Reaps everything that has ended; returns the exit code of `child` once it is among them, else -1. */
static int reap(pid_t child) {
  int code = -1;
  for (;;) {
    int status;
    pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid == 0) return code;
    if (pid < 0) {
      if (errno == EINTR) continue;
      return code;
    }
    if (pid == child) code = exit_code_of(status);
  }
}

int init_main(int argc, char **argv) {
  int first = 1;
  if (first < argc && strcmp(argv[first], "--") == 0) first++;
  if (first >= argc) {
    fprintf(stderr, "usage: docker-init -- COMMAND [ARGUMENT...]\n");
    return EXIT_USAGE;
  }
  /* Without pid 1 (a shared pid namespace) orphans come to us only so. */
  if (getpid() != 1) (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);

  sigset_t all, before;
  sigfillset(&all);
  for (size_t i = 0; i < sizeof own_signals / sizeof *own_signals; i++) sigdelset(&all, own_signals[i]);
  if (sigprocmask(SIG_SETMASK, &all, &before) != 0) return EXIT_USAGE;

  pid_t child = fork();
  if (child < 0) {
    perror("docker-init: fork");
    return EXIT_NOT_EXECUTABLE;
  }
  if (child == 0) run_child(argv + first, &before);

  for (;;) {
    siginfo_t info;
    int number = sigwaitinfo(&all, &info);
    if (number < 0) {
      if (errno == EINTR) continue;
      return EXIT_USAGE;
    }
    if (number == SIGTTIN || number == SIGTTOU) continue;
    if (number != SIGCHLD) {
      (void)kill(child, number);
      continue;
    }
    int code = reap(child);
    if (code >= 0) return code;
  }
}
