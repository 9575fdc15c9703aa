#define _GNU_SOURCE
#include "netlink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static uint8_t *reserve(struct message *message, size_t length) {
  size_t aligned = NLMSG_ALIGN(length);
  /* All our messages are of bounded parts: one that does not fit is a mistake of ours. */
  if (message->length + aligned > sizeof message->data) abort();
  uint8_t *at = message->data + message->length;
  memset(at, 0, aligned);
  message->length += aligned;
  if (message->current) message->current->nlmsg_len += (uint32_t)aligned;
  return at;
}

void message_begin(struct message *message, uint16_t type, uint16_t flags, const void *head, size_t length) {
  message->current = NULL;
  struct nlmsghdr *header = (struct nlmsghdr *)(void *)reserve(message, NLMSG_HDRLEN);
  header->nlmsg_len = NLMSG_HDRLEN;
  header->nlmsg_type = type;
  header->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
  message->current = header;
  memcpy(reserve(message, length), head, length);
}

void attribute(struct message *message, uint16_t type, const void *data, size_t length) {
  struct nlattr header = {.nla_len = (uint16_t)(NLA_HDRLEN + length), .nla_type = type};
  uint8_t *at = reserve(message, NLA_HDRLEN + length);
  memcpy(at, &header, sizeof header);
  if (length > 0) memcpy(at + NLA_HDRLEN, data, length);
}

void attribute_text(struct message *message, uint16_t type, const char *text) {
  attribute(message, type, text, strlen(text) + 1);
}

void attribute_u32(struct message *message, uint16_t type, uint32_t value) {
  attribute(message, type, &value, sizeof value);
}

size_t nest_begin(struct message *message, uint16_t type) {
  size_t at = message->length;
  attribute(message, (uint16_t)(type | NLA_F_NESTED), NULL, 0);
  return at;
}

void nest_end(struct message *message, size_t at) {
  struct nlattr header;
  memcpy(&header, message->data + at, sizeof header);
  header.nla_len = (uint16_t)(message->length - at);
  memcpy(message->data + at, &header, sizeof header);
}

int message_send(const struct message *message, int protocol, int answers) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  if (fd < 0) return errno;
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  struct timeval patience = {.tv_sec = 10};
  int error = setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 ? 0 : errno;
  if (error == 0 &&
      sendto(fd, message->data, message->length, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0) {
    error = errno;
  }
  while (error == 0 && answers > 0) {
    union {
      uint8_t data[8192];
      struct nlmsghdr align;
    } answer;
    ssize_t count = recv(fd, answer.data, sizeof answer.data, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      error = errno;
      break;
    }
    struct nlmsghdr *header = &answer.align;
    for (size_t left = (size_t)count; NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
      if (header->nlmsg_type != NLMSG_ERROR) continue;
      struct nlmsgerr result;
      memcpy(&result, NLMSG_DATA(header), sizeof result);
      if (result.error != 0 && error == 0) error = -result.error;
      answers--;
    }
  }
  close(fd);
  return error;
}
