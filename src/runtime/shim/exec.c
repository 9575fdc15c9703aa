/*
 * Further processes in the container: what is asked for, and how it comes to run. A helper of ours joins the container
 * (exec-child.c) and tells over a socket; what it cannot do is done by `runc exec` (exec-runc.c).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shim.h"

static unsigned count;

/* `number:soft:hard` of the kernel's resource. */
static bool add_rlimit(struct exec_request *request, char *text) {
  char *soft = strchr(text, ':'), *hard = soft ? strchr(soft + 1, ':') : NULL;
  if (!hard || request->rlimit_count == sizeof request->rlimits / sizeof *request->rlimits) return false;
  *soft++ = 0;
  *hard++ = 0;
  uint64_t resource;
  size_t at = request->rlimit_count++;
  request->rlimits[at].resource = parse_number(text, &resource) ? (int)resource : -1;
  return parse_number(soft, &request->rlimits[at].soft) && parse_number(hard, &request->rlimits[at].hard);
}

static void set_flag(bool *flag, uint64_t number) {
  *flag = number != 0;
}

const char *parse_exec(struct exec_request *request, uint8_t *payload, size_t length) {
  struct strings strings = strings_of(payload, length);
  request->umask = -1;
  for (char *key; (key = strings_next(&strings));) {
    char *value = strings_next(&strings);
    if (!value) return "a key without a value";
    uint64_t number = 0;
    bool is_number = parse_number(value, &number);
    if (strcmp(key, "arg") == 0) list_add(&request->args, value);
    else if (strcmp(key, "env") == 0) list_add(&request->env, value);
    else if (strcmp(key, "cwd") == 0) request->cwd = value;
    else if (strcmp(key, "apparmor") == 0) request->apparmor = value;
    else if (strcmp(key, "oom-score") == 0) request->oom_score = value;
    else if (strcmp(key, "json") == 0) request->json = value;
    else if (strcmp(key, "group") == 0 && is_number) list_add(&request->gids, value);
    else if (strcmp(key, "rlimit") == 0) {
      if (!add_rlimit(request, value)) return "a limit that is not understood";
    } else if (!is_number) return "an unknown key, or a number that is none";
    else if (strcmp(key, "uid") == 0) request->uid = (uint32_t)number;
    else if (strcmp(key, "gid") == 0) request->gid = (uint32_t)number;
    else if (strcmp(key, "umask") == 0) request->umask = (int32_t)(number & 0777);
    else if (strcmp(key, "bounding") == 0) request->bounding = number;
    else if (strcmp(key, "effective") == 0) request->effective = number;
    else if (strcmp(key, "permitted") == 0) request->permitted = number;
    else if (strcmp(key, "inheritable") == 0) request->inheritable = number;
    else if (strcmp(key, "ambient") == 0) request->ambient = number;
    else if (strcmp(key, "rows") == 0) request->rows = (uint16_t)number;
    else if (strcmp(key, "columns") == 0) request->columns = (uint16_t)number;
    else if (strcmp(key, "no-new-privileges") == 0) set_flag(&request->no_new_privileges, number);
    else if (strcmp(key, "tty") == 0) set_flag(&request->tty, number);
    else if (strcmp(key, "stdin") == 0) set_flag(&request->with_stdin, number);
    else if (strcmp(key, "runc") == 0) set_flag(&request->by_runc, number);
    else return "an unknown key";
  }
  if (request->args.length == 0 || !request->cwd || !request->json) return "a key that is missing";
  if (!request->env.items) request->env.items = need(calloc(1, sizeof *request->env.items));
  return NULL;
}

static void forget(struct process *process) {
  timer_stop(&process->drain);
  source_close(&process->sync);
  source_close(&process->in);
  source_close(&process->out);
  source_close(&process->err);
  free(process->stdin_queue.data);
  for (struct process **at = &shim.execs; *at; at = &(*at)->next) {
    if (*at != process) continue;
    *at = process->next;
    break;
  }
  free(process);
}

void exec_failed(struct process *process, int exit_code, const char *message) {
  struct client *owner = process->owner;
  if (owner) {
    send_failure(owner, "exec", exit_code, message);
    owner->exec = NULL;
    client_finish(owner);
  }
  forget(process);
}

void exec_started(struct process *process) {
  source_close(&process->sync);
  if (process->owner) {
    uint8_t payload[64];
    put_u32(payload, (uint32_t)process->pid);
    int length = snprintf((char *)payload + 4, sizeof payload - 4, "%llu",
                          (unsigned long long)process_start(process->pid));
    send_frame(process->owner, STARTED, 0, payload, 4 + (size_t)length + 1);
  }
  process_begin(process);
  claim_exit(process);
}

/* ---- the helper's word ---- */

/* True when there may be more; `process` may be gone otherwise. */
static bool hear(struct process *process) {
  char data[1024];
  union {
    char space[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control;
  struct iovec part = {data, sizeof data - 1};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space};
  ssize_t length = recvmsg(process->sync.fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (length < 0) return errno == EINTR;
  data[length > 0 ? length : 0] = 0;
  if (length == 0) {
    /* Closed by the exec of its program; or, without a word, by a death that nobody wanted. */
    if (process->pid > 0) exec_started(process);
    else exec_failed(process, 126, "the process that was to start it was killed");
    return false;
  }
  if (data[0] == HELPER_PID && length == 5) process->pid = (pid_t)get_u32((uint8_t *)data + 1);
  if (data[0] == HELPER_FAULT) {
    exec_failed(process, (uint8_t)data[1], data + 2);
    return false;
  }
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (header && header->cmsg_type == SCM_RIGHTS) {
    int master;
    memcpy(&master, CMSG_DATA(header), sizeof master);
    process_terminal(process, master);
  }
  return true;
}

void exec_look(struct process *process) {
  while (hear(process)) {
  }
}

static void sync_ready(struct source *source, uint32_t events) {
  (void)events;
  exec_look(container_of(source, struct process, sync));
}

/* ---- start ---- */

static const char *launch(struct process *process, const struct exec_request *request) {
  struct stdio stdio = {-1, -1, -1};
  int sync[2] = {-1, -1};
  const char *error = NULL;
  if (!request->tty && !process_pipes(process, &stdio, request->with_stdin)) return strerror(errno);
  if (request->by_runc || !seccomp_known()) {
    process->by_runc = true;
    exec_by_runc(process, request, &stdio);
  } else if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sync) != 0) {
    error = strerror(errno);
  } else {
    process->helper = fork();
    if (process->helper == 0) exec_child(request, &stdio, sync[1]);
    if (process->helper < 0) error = strerror(errno);
    close(sync[1]);
    if (!source_open(&process->sync, sync[0], EPOLLIN, sync_ready) && !error) error = strerror(errno);
  }
  if (!request->tty) {
    close(stdio.in);
    close(stdio.out);
    close(stdio.err);
  }
  return error;
}

void start_exec(struct client *client, uint8_t *payload, size_t length) {
  struct exec_request request = {0};
  const char *error = parse_exec(&request, payload, length);
  if (client->exec || client->launching) error = "this connection has another use";
  else if (!error && (shim.container.pid == 0 || shim.container.ended)) error = "container is not running";
  if (error) {
    send_failure(client, "state", 0, error);
    client->closing = true;
  } else {
    struct process *process = need(calloc(1, sizeof *process));
    process->in.fd = process->out.fd = process->err.fd = process->sync.fd = -1;
    process->tty = request.tty;
    process->expects_stdin = request.with_stdin;
    process->owner = client;
    process->number = count++;
    process->next = shim.execs;
    shim.execs = process;
    client->exec = process;
    client->hold = true;
    error = launch(process, &request);
    if (error) {
      send_failure(client, "exec", 126, error);
      client->closing = true;
      client->exec = NULL;
      forget(process);
    }
  }
  free(request.args.items);
  free(request.env.items);
  free(request.gids.items);
}
