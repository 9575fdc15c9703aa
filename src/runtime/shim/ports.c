/*
 * Published ports: a socket each, in the host's network namespace, so that the port is taken for as long as the
 * container lives. Packets that the firewall's rules redirect never reach them; what does (::1, IPv6 for a container
 * without, anything on a host where the rules do not apply) is passed on to the container from inside its namespace.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shim.h"

#define BACKLOG 512
#define BUFFER_SIZE 32768
#define FLOW_LIMIT 1024
#define FLOW_IDLE_MS 90000
#define CONNECT_MS 30000

union address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

struct port {
  struct source source;
  bool tcp;
  uint16_t target;
  struct flow *flows; /* of UDP */
  struct port *next;
};

static struct port *ports;
static bool serving;

static socklen_t address_length(const union address *address) {
  return address->any.sa_family == AF_INET ? sizeof address->v4 : sizeof address->v6;
}

/* ---- towards the container ---- */

/* An address it has itself: programs that listen on their interface alone are reached too. From net.c. */
extern struct in_addr own_v4;
extern struct in6_addr own_v6;
extern bool has_own_v4, has_own_v6;

static int reach(bool tcp, uint16_t port, bool over_v6) {
  union address address = {0};
  if (over_v6 && has_own_v6) {
    address.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = own_v6};
  } else {
    address.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = own_v4};
    if (!has_own_v4) address.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }
  int type = (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;
  int fd = socket(address.any.sa_family, type, 0);
  if (fd < 0) return -1;
  if (connect(fd, &address.any, address_length(&address)) == 0 || errno == EINPROGRESS) return fd;
  close(fd);
  return -1;
}

/* ---- TCP: two directions of a buffer each; an end of file is passed on when the buffer before it is empty ---- */

struct half {
  struct source source;
  struct queue queue; /* read from here, for the other side */
  bool ended, passed;
};

struct relay {
  struct half host, container;
  struct timer connecting;
};

static void relay_close(struct relay *relay) {
  source_close(&relay->host.source);
  source_close(&relay->container.source);
  timer_stop(&relay->connecting);
  free(relay->host.queue.data);
  free(relay->container.queue.data);
  free(relay);
}

/* False when the connection has broken. */
static bool half_read(struct half *from) {
  uint8_t data[BUFFER_SIZE];
  ssize_t count = recv(from->source.fd, data, sizeof data, 0);
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  if (count == 0) from->ended = true;
  queue_add(&from->queue, data, (size_t)count);
  return true;
}

static bool half_pass(struct half *from, struct half *to) {
  while (queue_length(&from->queue) > 0) {
    ssize_t count =
        send(to->source.fd, from->queue.data + from->queue.start, queue_length(&from->queue), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == EAGAIN || errno == ENOTCONN)) return true;
    if (count < 0) return false;
    queue_drop(&from->queue, (size_t)count);
  }
  if (from->ended && !from->passed) {
    from->passed = true;
    (void)shutdown(to->source.fd, SHUT_WR);
  }
  return true;
}

static void half_events(struct half *half, const struct half *other) {
  uint32_t events = 0;
  if (!half->ended && queue_length(&half->queue) < BUFFER_SIZE) events |= EPOLLIN;
  if (queue_length(&other->queue) > 0) events |= EPOLLOUT;
  source_set(&half->source, events);
}

static void relay_event(struct relay *relay, struct half *half, struct half *other, uint32_t events) {
  bool sound = true;
  if (half == &relay->container && (events & (EPOLLOUT | EPOLLIN | EPOLLHUP | EPOLLERR))) timer_stop(&relay->connecting);
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !half->ended) sound = half_read(half);
  sound = sound && half_pass(half, other) && half_pass(other, half);
  if (!sound || (half->passed && other->passed) || (half->ended && (events & (EPOLLERR | EPOLLHUP)) && other->ended)) {
    relay_close(relay);
    return;
  }
  half_events(half, other);
  half_events(other, half);
}

static void host_ready(struct source *source, uint32_t events) {
  struct relay *relay = container_of(source, struct relay, host.source);
  relay_event(relay, &relay->host, &relay->container, events);
}

static void container_ready(struct source *source, uint32_t events) {
  struct relay *relay = container_of(source, struct relay, container.source);
  relay_event(relay, &relay->container, &relay->host, events);
}

static void connect_due(struct timer *timer) {
  relay_close(container_of(timer, struct relay, connecting));
}

static void tcp_ready(struct source *source, uint32_t events) {
  (void)events;
  struct port *port = container_of(source, struct port, source);
  union address peer;
  socklen_t length = sizeof peer;
  int fd = accept4(source->fd, &peer.any, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  int target = reach(true, port->target, peer.any.sa_family == AF_INET6);
  if (target < 0) {
    close(fd);
    return;
  }
  struct relay *relay = need(calloc(1, sizeof *relay));
  relay->host.source.fd = relay->container.source.fd = -1;
  if (source_open(&relay->host.source, fd, EPOLLIN, host_ready)) {
    if (source_open(&relay->container.source, target, EPOLLIN | EPOLLOUT, container_ready)) {
      timer_set(&relay->connecting, CONNECT_MS, connect_due);
      return;
    }
  } else {
    close(target);
  }
  relay_close(relay);
}

/* ---- UDP: a socket towards the container for each peer ---- */

struct flow {
  struct source source;
  struct timer idle;
  struct port *port;
  union address peer;
  struct flow *next;
};

static size_t flow_count;

static void flow_close(struct flow *flow) {
  source_close(&flow->source);
  timer_stop(&flow->idle);
  for (struct flow **at = &flow->port->flows; *at; at = &(*at)->next) {
    if (*at != flow) continue;
    *at = flow->next;
    break;
  }
  flow_count--;
  free(flow);
}

static void flow_due(struct timer *timer) {
  flow_close(container_of(timer, struct flow, idle));
}

static void flow_ready(struct source *source, uint32_t events) {
  struct flow *flow = container_of(source, struct flow, source);
  uint8_t data[65536];
  ssize_t count = recv(source->fd, data, sizeof data, 0);
  if (count < 0 && errno != EAGAIN && errno != EINTR && (events & EPOLLERR)) {
    /* Nobody listens there (yet): the next packet tries anew. */
    flow_close(flow);
    return;
  }
  if (count < 0) return;
  (void)sendto(flow->port->source.fd, data, (size_t)count, 0, &flow->peer.any, address_length(&flow->peer));
  timer_set(&flow->idle, FLOW_IDLE_MS, flow_due);
}

static bool same_peer(const union address *left, const union address *right) {
  if (left->any.sa_family != right->any.sa_family) return false;
  if (left->any.sa_family == AF_INET) {
    return left->v4.sin_port == right->v4.sin_port && left->v4.sin_addr.s_addr == right->v4.sin_addr.s_addr;
  }
  return left->v6.sin6_port == right->v6.sin6_port && left->v6.sin6_scope_id == right->v6.sin6_scope_id &&
         memcmp(&left->v6.sin6_addr, &right->v6.sin6_addr, sizeof left->v6.sin6_addr) == 0;
}

static struct flow *flow_of(struct port *port, const union address *peer) {
  for (struct flow *flow = port->flows; flow; flow = flow->next) {
    if (same_peer(&flow->peer, peer)) return flow;
  }
  if (flow_count >= FLOW_LIMIT) return NULL;
  int fd = reach(false, port->target, peer->any.sa_family == AF_INET6);
  if (fd < 0) return NULL;
  struct flow *flow = need(calloc(1, sizeof *flow));
  if (!source_open(&flow->source, fd, EPOLLIN, flow_ready)) {
    free(flow);
    return NULL;
  }
  flow->port = port;
  flow->peer = *peer;
  flow->next = port->flows;
  port->flows = flow;
  flow_count++;
  return flow;
}

static void udp_ready(struct source *source, uint32_t events) {
  (void)events;
  struct port *port = container_of(source, struct port, source);
  uint8_t data[65536];
  union address peer;
  socklen_t length = sizeof peer;
  ssize_t count = recvfrom(source->fd, data, sizeof data, 0, &peer.any, &length);
  if (count < 0) return;
  struct flow *flow = flow_of(port, &peer);
  if (!flow) return;
  (void)send(flow->source.fd, data, (size_t)count, 0);
  timer_set(&flow->idle, FLOW_IDLE_MS, flow_due);
}

/* ---- binding ---- */

/* 1 when the host has no such addresses at all. */
static int bind_one(bool tcp, const union address *address, uint16_t target) {
  int type = (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;
  int fd = socket(address->any.sa_family, type, 0);
  if (fd < 0) return errno == EAFNOSUPPORT ? 1 : -1;
  int on = 1;
  if (tcp) (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address->any.sa_family == AF_INET6) (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (bind(fd, &address->any, address_length(address)) != 0 || (tcp && listen(fd, BACKLOG) != 0)) {
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
  }
  struct port *port = need(calloc(1, sizeof *port));
  port->tcp = tcp;
  port->target = target;
  port->source = (struct source){.fd = fd};
  port->next = ports;
  ports = port;
  return 0;
}

static char *bind_port(char *text) {
  char *part[4] = {NULL};
  char *own = copy(text);
  part[0] = own;
  for (int i = 1; i < 4; i++) {
    char *separator = strchr(part[i - 1], '|');
    if (!separator) return format("port %s is not understood", text);
    *separator = 0;
    part[i] = separator + 1;
  }
  uint64_t host_port, target;
  if (!parse_number(part[2], &host_port) || !parse_number(part[3], &target) || host_port > 65535 || target > 65535) {
    return format("port %s is not understood", text);
  }
  bool tcp = strcmp(part[0], "tcp") == 0;
  /* Others (SCTP) are redirected by the rules alone. */
  if (!tcp && strcmp(part[0], "udp") != 0) return NULL;
  const char *hosts[2] = {part[1][0] ? part[1] : "0.0.0.0", part[1][0] ? NULL : "::"};
  char *error = NULL;
  for (int i = 0; i < 2 && hosts[i] && !error; i++) {
    union address address = {0};
    if (inet_pton(AF_INET, hosts[i], &address.v4.sin_addr) == 1) {
      address.v4.sin_family = AF_INET;
      address.v4.sin_port = htons((uint16_t)host_port);
    } else if (inet_pton(AF_INET6, hosts[i], &address.v6.sin6_addr) == 1) {
      address.v6.sin6_family = AF_INET6;
      address.v6.sin6_port = htons((uint16_t)host_port);
    } else {
      error = format("port %s is not understood", text);
      break;
    }
    int result = bind_one(tcp, &address, (uint16_t)target);
    /* Asked for all addresses, a host without IPv6 has bound them all. */
    bool absent = i == 1 && (result > 0 || (result < 0 && errno == EADDRNOTAVAIL));
    if (result == 0 || absent) continue;
    const char *reason = result > 0 ? "address family not supported" : strerror(errno);
    /* As it reads in Go, on any C library. */
    if (result < 0 && errno == EADDRINUSE) reason = "address already in use";
    if (result < 0 && errno == EADDRNOTAVAIL) reason = "cannot assign requested address";
    bool v6 = strchr(hosts[i], ':') != NULL;
    error = format("Bind for %s%s%s:%llu failed: %s", v6 ? "[" : "", hosts[i], v6 ? "]" : "",
                   (unsigned long long)host_port, reason);
  }
  free(own);
  return error;
}

char *bind_ports(const struct list *list) {
  for (size_t i = 0; i < list->length; i++) {
    char *error = bind_port(list->items[i]);
    if (error) return error;
  }
  return NULL;
}

/* From when the container is being run: connections that came before wait. */
void serve_ports(void) {
  if (serving) return;
  serving = true;
  for (struct port *port = ports; port; port = port->next) {
    (void)source_open(&port->source, port->source.fd, EPOLLIN, port->tcp ? tcp_ready : udp_ready);
  }
}

/* Relayed connections last until we end, their sockets are not the port's. */
void close_ports(void) {
  for (struct port *port = ports; port; port = port->next) {
    if (serving) source_close(&port->source);
    else close(port->source.fd);
    while (port->flows) flow_close(port->flows);
  }
}
