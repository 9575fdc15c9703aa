/*
 * Connections: frames in, a queue of frames out. A client that is more than a mebibyte behind with the output of its
 * process stops the reading of it; one that then takes nothing for a while is cut off, unless it asked to hold.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "shim.h"

#define BEHIND (1u << 20)
#define STUCK_MS 5000
#define READ_SIZE 16384

size_t queue_length(const struct queue *queue) {
  return queue->end - queue->start;
}

void queue_add(struct queue *queue, const void *data, size_t length) {
  if (length == 0) return;
  size_t held = queue_length(queue);
  if (queue->end + length > queue->size) {
    if (held > 0 && queue->start > 0) memmove(queue->data, queue->data + queue->start, held);
    queue->start = 0;
    queue->end = held;
    if (held + length > queue->size) {
      size_t size = queue->size ? queue->size : 1024;
      while (size < held + length) size *= 2;
      queue->data = need(realloc(queue->data, size));
      queue->size = size;
    }
  }
  memcpy(queue->data + queue->end, data, length);
  queue->end += length;
}

/* An empty queue keeps no memory. */
void queue_drop(struct queue *queue, size_t length) {
  queue->start += length;
  if (queue->start < queue->end) return;
  free(queue->data);
  *queue = (struct queue){0};
}

static bool is_behind(const struct client *client) {
  return queue_length(&client->out) >= BEHIND;
}

/* Whether output of the process must wait for one of its clients. */
static struct process *process_of(struct client *client) {
  if (client->exec) return client->exec;
  return client->attached ? &shim.container : NULL;
}

static void client_events(struct client *client) {
  uint32_t events = queue_length(&client->out) > 0 ? EPOLLOUT : 0;
  const struct process *process = client->exec ? client->exec : &shim.container;
  if (client->closing || !client->writes_stdin || !stdin_is_full(process)) events |= EPOLLIN;
  source_set(&client->source, events | EPOLLRDHUP);
}

void client_close(struct client *client) {
  source_close(&client->source);
  timer_stop(&client->stuck);
  for (struct client **at = &shim.clients; *at; at = &(*at)->next) {
    if (*at != client) continue;
    *at = client->next;
    break;
  }
  if (shim.launcher == client) shim.launcher = NULL;
  dns_client_gone(client);
  struct process *process = process_of(client);
  if (client->exec) {
    client->exec->owner = NULL;
    process_close_stdin(client->exec);
  }
  free(client->in.data);
  free(client->out.data);
  bool was_launching = client->launching;
  free(client);
  if (process) process_resume(process);
  /* Nobody is left who could say start: mounts, sockets and namespaces go with us. */
  if (was_launching && !shim.started) exit(0);
  if (shim.finished && !shim.clients) exit(0);
}

static void cut_off(struct timer *timer) {
  struct client *client = container_of(timer, struct client, stuck);
  size_t length = queue_length(&client->out);
  if (length == client->stuck_length && !client->hold) {
    client_close(client);
    return;
  }
  client->stuck_length = length;
  timer_set(timer, STUCK_MS, cut_off);
}

/*
 * Says the end and waits for the other side's: were the socket closed with something unread in it, a client that writes
 * at this moment would lose what it has not read yet. False when the connection is gone.
 */
static bool linger(struct client *client) {
  if (client->lingering) return true;
  client->lingering = true;
  client->hold = false;
  client->stuck_length = 0;
  timer_set(&client->stuck, STUCK_MS, cut_off);
  if (shutdown(client->source.fd, SHUT_WR) != 0) return false;
  client_events(client);
  return true;
}

/* False when the connection is gone. */
static bool flush(struct client *client) {
  while (queue_length(&client->out) > 0) {
    ssize_t count = send(client->source.fd, client->out.data + client->out.start, queue_length(&client->out),
                         MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (count < 0) return false;
    queue_drop(&client->out, (size_t)count);
  }
  if (queue_length(&client->out) == 0 && client->closing) return linger(client);
  if (!is_behind(client) && !shim.finished && !client->closing) timer_stop(&client->stuck);
  client_events(client);
  return true;
}

/* Tried at once; the rest, if any, when the socket has room. A failing socket is found out by its next event. */
void send_frame(struct client *client, uint8_t type, uint8_t stream, const void *payload, size_t length) {
  if (client->closing) return;
  uint8_t header[FRAME_HEADER] = {type, stream};
  put_u32(header + 2, (uint32_t)length);
  size_t sent = 0;
  if (queue_length(&client->out) == 0) {
    struct iovec parts[2] = {{header, sizeof header}, {(void *)payload, length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = length > 0 ? 2 : 1};
    ssize_t count = sendmsg(client->source.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    sent = count > 0 ? (size_t)count : 0;
  }
  if (sent < sizeof header) {
    queue_add(&client->out, header + sent, sizeof header - sent);
    sent = sizeof header;
  }
  queue_add(&client->out, (const uint8_t *)payload + (sent - sizeof header), length - (sent - sizeof header));
  if (queue_length(&client->out) > 0) client_events(client);
  if (is_behind(client) && client->stuck.at_ms == 0) {
    client->stuck_length = queue_length(&client->out);
    timer_set(&client->stuck, STUCK_MS, cut_off);
  }
}

void send_failure(struct client *client, const char *kind, int exit_code, const char *message) {
  struct queue payload = {0};
  char code[12] = {(char)('0' + exit_code / 100), (char)('0' + exit_code / 10 % 10), (char)('0' + exit_code % 10)};
  queue_add(&payload, kind, strlen(kind) + 1);
  queue_add(&payload, code, strlen(code) + 1);
  queue_add(&payload, message, strlen(message) + 1);
  send_frame(client, FAILED, 0, payload.data, payload.end);
  free(payload.data);
}

void broadcast(uint8_t type, uint8_t stream, const void *payload, size_t length) {
  for (struct client *client = shim.clients, *next; client; client = next) {
    next = client->next;
    send_frame(client, type, stream, payload, length);
  }
}

/* Closes when everything queued has been taken, or nothing is taken for a while. Not from within handle_frame, where
   setting `closing` does. */
void client_finish(struct client *client) {
  client->closing = true;
  client->stuck_length = queue_length(&client->out);
  timer_set(&client->stuck, STUCK_MS, cut_off);
  if (!flush(client)) client_close(client);
}

/* False when the client has been closed. */
static bool take_frames(struct client *client) {
  for (;;) {
    size_t held = queue_length(&client->in);
    if (held < FRAME_HEADER) return true;
    uint8_t *frame = client->in.data + client->in.start;
    size_t length = get_u32(frame + 2);
    if (length > FRAME_LIMIT) return false;
    if (held < FRAME_HEADER + length) return true;
    if (client->closing) return true;
    handle_frame(client, frame[0], frame[1], frame + FRAME_HEADER, length);
    queue_drop(&client->in, FRAME_HEADER + length);
  }
}

static void client_ready(struct source *source, uint32_t events) {
  struct client *client = container_of(source, struct client, source);
  if (events & EPOLLOUT) {
    struct process *process = process_of(client);
    if (!flush(client)) {
      client_close(client);
      return;
    }
    if (process) process_resume(process);
  }
  if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP))) return;
  uint8_t data[READ_SIZE];
  ssize_t count = recv(source->fd, data, sizeof data, MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
    /* Its stdin waits for the process, and it has shut down: what it sent is still to be read. */
    return;
  }
  if (count <= 0) {
    client_close(client);
    return;
  }
  if (client->closing) return;
  queue_add(&client->in, data, (size_t)count);
  if (!take_frames(client)) client_close(client);
  else if (client->closing) client_finish(client);
  else client_events(client);
}

struct client *client_new(int fd) {
  struct client *client = need(calloc(1, sizeof *client));
  if (!source_open(&client->source, fd, EPOLLIN | EPOLLRDHUP, client_ready)) {
    free(client);
    return NULL;
  }
  client->next = shim.clients;
  shim.clients = client;
  return client;
}

static void accept_client(struct source *source, uint32_t events) {
  (void)events;
  int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC);
  if (fd < 0) return;
  struct client *client = client_new(fd);
  if (!client) return;
  uint8_t pid[4];
  put_u32(pid, (uint32_t)shim.container.pid);
  send_frame(client, HELLO, 0, pid, sizeof pid);
}

/* In the bundle, which is the working directory. */
bool listen_clients(void) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "sock"};
  if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 128) != 0) {
    close(fd);
    return false;
  }
  return source_open(&shim.listener, fd, EPOLLIN, accept_client);
}
