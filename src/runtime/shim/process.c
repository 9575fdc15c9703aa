/*
 * The stdio of a process: its output goes to the log (the container's) and to those who are attached, its stdin comes
 * from them. After its end what it wrote is drained; a background child that holds the ends open is not waited for long.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim.h"

#define READ_SIZE 16384
#define STDIN_LIMIT 262144
#define BEHIND (1u << 20)
/* As long as dockerd waits for the streams of a process that has ended. */
#define DRAIN_MS 2000

int exit_code_of(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static bool is_container(const struct process *process) {
  return process == &shim.container;
}

static bool must_wait(const struct process *process) {
  if (process->ended) return false;
  if (!is_container(process)) return process->owner && queue_length(&process->owner->out) >= BEHIND;
  for (const struct client *client = shim.clients; client; client = client->next) {
    if (client->attached && queue_length(&client->out) >= BEHIND) return true;
  }
  return false;
}

static void deliver(struct process *process, int stream, const uint8_t *data, size_t length) {
  if (!is_container(process)) {
    if (process->owner) send_frame(process->owner, OUTPUT, (uint8_t)stream, data, length);
    return;
  }
  log_write(&process->lines[stream - 1], stream, data, length);
  log_commit();
  for (struct client *client = shim.clients, *next; client; client = next) {
    next = client->next;
    if (client->attached) send_frame(client, OUTPUT, (uint8_t)stream, data, length);
  }
}

static void finish(struct process *process) {
  if (process->done) return;
  process->done = true;
  timer_stop(&process->drain);
  source_close(&process->in);
  source_close(&process->out);
  source_close(&process->err);
  queue_drop(&process->stdin_queue, queue_length(&process->stdin_queue));
  if (is_container(process)) {
    log_flush(&process->lines[0], 1);
    log_flush(&process->lines[1], 2);
    log_commit();
    container_done();
    return;
  }
  struct client *owner = process->owner;
  if (owner) {
    char text[32];
    snprintf(text, sizeof text, "%d %d", exit_code_of(process->status),
             WIFSIGNALED(process->status) ? WTERMSIG(process->status) : 0);
    send_frame(owner, EXEC_ENDED, 0, text, strlen(text) + 1);
    owner->exec = NULL;
    client_finish(owner);
  }
  for (struct process **at = &shim.execs; *at; at = &(*at)->next) {
    if (*at != process) continue;
    *at = process->next;
    break;
  }
  free(process);
}

static void finish_if_drained(struct process *process) {
  if (process->ended && process->out.fd < 0 && process->err.fd < 0) finish(process);
}

static void output_ready(struct process *process, struct source *source, int stream) {
  if (must_wait(process)) {
    source_set(&process->out, 0);
    source_set(&process->err, 0);
    return;
  }
  uint8_t data[READ_SIZE];
  ssize_t count = read(source->fd, data, sizeof data);
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (count > 0) {
    deliver(process, stream, data, (size_t)count);
    return;
  }
  /* End of file; of a terminal EIO, when its last process has let go. */
  source_close(source);
  finish_if_drained(process);
}

static void out_ready(struct source *source, uint32_t events) {
  (void)events;
  output_ready(container_of(source, struct process, out), source, 1);
}

static void err_ready(struct source *source, uint32_t events) {
  (void)events;
  output_ready(container_of(source, struct process, err), source, 2);
}

void process_resume(struct process *process) {
  if (must_wait(process)) return;
  source_set(&process->out, EPOLLIN);
  source_set(&process->err, EPOLLIN);
}

/* ---- stdin ---- */

bool stdin_is_full(const struct process *process) {
  return queue_length(&process->stdin_queue) >= STDIN_LIMIT;
}

static void let_clients_go_on(void) {
  for (struct client *client = shim.clients; client; client = client->next) {
    if (!client->closing) source_set(&client->source, client->source.events | EPOLLIN);
  }
}

static void in_ready(struct source *source, uint32_t events) {
  struct process *process = container_of(source, struct process, in);
  struct queue *queue = &process->stdin_queue;
  bool was_full = stdin_is_full(process);
  if (events & EPOLLOUT) {
    ssize_t count = write(source->fd, queue->data + queue->start, queue_length(queue));
    if (count > 0) queue_drop(queue, (size_t)count);
    else if (errno != EAGAIN && errno != EINTR) events |= EPOLLERR;
  }
  if (events & (EPOLLERR | EPOLLHUP)) {
    process->expects_stdin = false;
    queue_drop(queue, queue_length(queue));
    source_close(source);
  } else if (queue_length(queue) == 0) {
    if (process->close_stdin) source_close(source);
    else source_set(source, 0);
  }
  if (was_full && !stdin_is_full(process)) let_clients_go_on();
}

void process_stdin(struct process *process, const uint8_t *data, size_t length) {
  if (!process->expects_stdin || process->close_stdin) return;
  queue_add(&process->stdin_queue, data, length);
  if (length > 0) source_set(&process->in, EPOLLOUT);
}

/* A terminal has no end of input but the one that is typed. */
void process_close_stdin(struct process *process) {
  if (process->tty) return;
  process->close_stdin = true;
  if (queue_length(&process->stdin_queue) == 0) source_close(&process->in);
}

void process_resize(struct process *process, uint16_t rows, uint16_t columns) {
  struct winsize size = {.ws_row = rows, .ws_col = columns};
  /* For a terminal that is still to come. */
  process->rows = rows;
  process->columns = columns;
  if (process->tty && process->out.fd >= 0) (void)ioctl(process->out.fd, TIOCSWINSZ, &size);
}

/* ---- begin and end ---- */

static bool our_end(struct source *source, int fd, void (*ready)(struct source *, uint32_t)) {
  /* Only our end does not block: the flag belongs to the open file, and the process has the other one. */
  if (fcntl(fd, F_SETFL, O_NONBLOCK | (fcntl(fd, F_GETFL) & O_ACCMODE)) != 0) return false;
  if (!source_open(source, fd, EPOLLIN, ready)) return false;
  source_set(source, 0);
  return true;
}

static void close_pair(const int pair[2]) {
  if (pair[0] >= 0) close(pair[0]);
  if (pair[1] >= 0) close(pair[1]);
}

/* Nothing is read before process_begin. */
bool process_pipes(struct process *process, struct stdio *stdio, bool with_stdin) {
  int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
  bool made = with_stdin ? pipe2(in, O_CLOEXEC) == 0 : (in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;
  made = made && pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0;
  if (!made) {
    close_pair(in);
    close_pair(out);
    close_pair(err);
    return false;
  }
  *stdio = (struct stdio){in[0], out[1], err[1]};
  made = !with_stdin || our_end(&process->in, in[1], in_ready);
  made = our_end(&process->out, out[0], out_ready) && made;
  return our_end(&process->err, err[0], err_ready) && made;
}

/* Takes the master side over. */
void process_terminal(struct process *process, int master) {
  int in = fcntl(master, F_DUPFD_CLOEXEC, 3);
  if (in >= 0) (void)our_end(&process->in, in, in_ready);
  (void)our_end(&process->out, master, out_ready);
  if (process->rows > 0 || process->columns > 0) process_resize(process, process->rows, process->columns);
}

void process_begin(struct process *process) {
  process_resume(process);
  if (queue_length(&process->stdin_queue) > 0) source_set(&process->in, EPOLLOUT);
  else if (process->close_stdin) source_close(&process->in);
}

static void drain_due(struct timer *timer) {
  finish(container_of(timer, struct process, drain));
}

void process_ended(struct process *process, int status) {
  process->ended = true;
  process->status = status;
  /* A container ends with its first process, also where others have a pid namespace that goes on. */
  if (is_container(process)) cgroups_kill();
  process_resume(process);
  timer_set(&process->drain, DRAIN_MS, drain_due);
  finish_if_drained(process);
}

/* Exits that came before the pid was known. */
void claim_exit(struct process *process) {
  for (size_t i = 0; i < shim.unclaimed_count; i++) {
    if (shim.unclaimed[i].pid != process->pid) continue;
    int status = shim.unclaimed[i].status;
    shim.unclaimed[i] = shim.unclaimed[--shim.unclaimed_count];
    process_ended(process, status);
    return;
  }
}
