/*
 * 127.0.0.11 in the container's network namespace: queries go to the client that has said it resolves, its answers go
 * back to who asked. Queries that come before anyone resolves are kept for a while.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shim.h"

#define SLOTS 1024
#define HELD_LIMIT 64
#define STREAM_LIMIT 64
#define PATIENCE_MS 10000
#define MESSAGE_LIMIT 65535

struct stream {
  struct source source;
  struct timer idle;
  struct queue in, out;
  struct stream *next;
};

/* A query on its way. Its number for the resolver is a count and its index. */
static struct slot {
  uint64_t until_ms; /* 0: free */
  uint32_t id;
  struct sockaddr_in peer;
  struct stream *stream; /* over TCP */
  uint8_t *held;
  uint16_t length;
} *slots;
static uint32_t asked;
static size_t held_count, stream_count;
static struct source udp = {.fd = -1}, tcp = {.fd = -1};
static struct stream *streams;
static struct client *resolver;

static void ask(const struct slot *slot, const uint8_t *query, size_t length) {
  uint8_t payload[4 + MESSAGE_LIMIT];
  put_u32(payload, slot->id);
  memcpy(payload + 4, query, length);
  send_frame(resolver, QUERY, slot->stream ? 1 : 0, payload, 4 + length);
}

static void release(struct slot *slot) {
  if (slot->held) held_count--;
  free(slot->held);
  slot->held = NULL;
  slot->until_ms = 0;
}

static void query(const struct sockaddr_in *peer, struct stream *stream, const uint8_t *data, size_t length) {
  if (!slots) slots = need(calloc(SLOTS, sizeof *slots));
  uint64_t now = now_ms();
  uint32_t index = 0;
  while (index < SLOTS && slots[index].until_ms > now) index++;
  /* More than that under way: they ask again. */
  if (index == SLOTS || (!resolver && held_count >= HELD_LIMIT)) return;
  struct slot *slot = &slots[index];
  release(slot);
  *slot = (struct slot){.until_ms = now + PATIENCE_MS, .id = asked++ * SLOTS + index, .stream = stream};
  if (peer) slot->peer = *peer;
  if (resolver) {
    ask(slot, data, length);
    return;
  }
  slot->held = need(malloc(length));
  memcpy(slot->held, data, length);
  slot->length = (uint16_t)length;
  held_count++;
}

static void udp_ready(struct source *source, uint32_t events) {
  (void)events;
  for (int i = 0; i < 16; i++) {
    uint8_t data[4096];
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    ssize_t count = recvfrom(source->fd, data, sizeof data, 0, (struct sockaddr *)&peer, &length);
    if (count < 0) return;
    if (count >= 12) query(&peer, NULL, data, (size_t)count);
  }
}

/* ---- TCP ---- */

static void stream_close(struct stream *stream) {
  for (size_t i = 0; slots && i < SLOTS; i++) {
    if (slots[i].stream == stream) {
      release(&slots[i]);
      slots[i].stream = NULL;
    }
  }
  source_close(&stream->source);
  timer_stop(&stream->idle);
  for (struct stream **at = &streams; *at; at = &(*at)->next) {
    if (*at != stream) continue;
    *at = stream->next;
    break;
  }
  stream_count--;
  free(stream->in.data);
  free(stream->out.data);
  free(stream);
}

static void stream_due(struct timer *timer) {
  stream_close(container_of(timer, struct stream, idle));
}

/* False when it has broken. */
static bool stream_flush(struct stream *stream) {
  while (queue_length(&stream->out) > 0) {
    ssize_t count = send(stream->source.fd, stream->out.data + stream->out.start, queue_length(&stream->out),
                         MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) break;
    if (count < 0) return false;
    queue_drop(&stream->out, (size_t)count);
  }
  source_set(&stream->source, EPOLLIN | (queue_length(&stream->out) > 0 ? EPOLLOUT : 0u));
  return true;
}

static void stream_ready(struct source *source, uint32_t events) {
  struct stream *stream = container_of(source, struct stream, source);
  if ((events & EPOLLOUT) && !stream_flush(stream)) {
    stream_close(stream);
    return;
  }
  if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
  uint8_t data[4096];
  ssize_t count = recv(source->fd, data, sizeof data, MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) {
    stream_close(stream);
    return;
  }
  queue_add(&stream->in, data, (size_t)count);
  for (;;) {
    const uint8_t *at = stream->in.data + stream->in.start;
    size_t held = queue_length(&stream->in);
    size_t length = held >= 2 ? (size_t)(at[0] << 8 | at[1]) : 0;
    if (held < 2 || held < 2 + length) break;
    if (length >= 12) query(NULL, stream, at + 2, length);
    queue_drop(&stream->in, 2 + length);
  }
  timer_set(&stream->idle, PATIENCE_MS, stream_due);
}

static void tcp_ready(struct source *source, uint32_t events) {
  (void)events;
  int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  if (stream_count >= STREAM_LIMIT) {
    close(fd);
    return;
  }
  struct stream *stream = need(calloc(1, sizeof *stream));
  if (!source_open(&stream->source, fd, EPOLLIN, stream_ready)) {
    free(stream);
    return;
  }
  stream->next = streams;
  streams = stream;
  stream_count++;
  timer_set(&stream->idle, PATIENCE_MS, stream_due);
}

/* ---- the resolver ---- */

void dns_resolver(struct client *client) {
  resolver = client;
  for (size_t i = 0; slots && i < SLOTS; i++) {
    struct slot *slot = &slots[i];
    if (!slot->held) continue;
    if (slot->until_ms > now_ms()) ask(slot, slot->held, slot->length);
    free(slot->held);
    slot->held = NULL;
    held_count--;
  }
}

void dns_client_gone(const struct client *client) {
  if (resolver == client) resolver = NULL;
}

void dns_answer(struct client *client, const uint8_t *payload, size_t length) {
  if (client != resolver || length < 4 || length > 4 + MESSAGE_LIMIT || !slots) return;
  uint32_t id = get_u32(payload);
  struct slot *slot = &slots[id % SLOTS];
  if (slot->id != id || slot->until_ms == 0) return;
  struct stream *stream = slot->stream;
  struct sockaddr_in peer = slot->peer;
  release(slot);
  payload += 4;
  length -= 4;
  if (length == 0) return;
  if (!stream) {
    (void)sendto(udp.fd, payload, length, MSG_DONTWAIT, (struct sockaddr *)&peer, sizeof peer);
    return;
  }
  uint8_t prefix[2] = {(uint8_t)(length >> 8), (uint8_t)length};
  queue_add(&stream->out, prefix, sizeof prefix);
  queue_add(&stream->out, payload, length);
  if (!stream_flush(stream)) stream_close(stream);
}

/* ---- sockets ---- */

static int open_at(int type, uint16_t *port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(*port)};
  address.sin_addr.s_addr = htonl(0x7f00000b);
  socklen_t length = sizeof address;
  int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && (type == SOCK_DGRAM || listen(fd, 64) == 0) &&
      getsockname(fd, (struct sockaddr *)&address, &length) == 0) {
    *port = ntohs(address.sin_port);
    return fd;
  }
  close(fd);
  return -1;
}

static bool open_both(uint16_t port, uint16_t *udp_port, uint16_t *tcp_port) {
  *udp_port = *tcp_port = port;
  int datagrams = open_at(SOCK_DGRAM, udp_port), connections = open_at(SOCK_STREAM, tcp_port);
  if (datagrams >= 0 && connections >= 0) {
    return source_open(&udp, datagrams, EPOLLIN, udp_ready) && source_open(&tcp, connections, EPOLLIN, tcp_ready);
  }
  if (datagrams >= 0) close(datagrams);
  if (connections >= 0) close(connections);
  return false;
}

char *open_dns(void) {
  uint16_t udp_port, tcp_port;
  if (!open_both(0, &udp_port, &tcp_port)) return format("open the sockets of 127.0.0.11: %s", strerror(errno));
  if (redirect_dns(udp_port, tcp_port)) return NULL;
  /* A kernel without nf_tables: then the port itself, which the container then cannot have for all addresses. */
  source_close(&udp);
  source_close(&tcp);
  if (open_both(53, &udp_port, &tcp_port)) return NULL;
  return format("open 127.0.0.11:53: %s", strerror(errno));
}
