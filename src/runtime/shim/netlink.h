/* Netlink messages put together in a buffer, and sent to the kernel of the network namespace we are in. */
#ifndef TCOMPOSE_NETLINK_H
#define TCOMPOSE_NETLINK_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct message {
  union {
    uint8_t data[4096];
    struct nlmsghdr align;
  };
  size_t length;
  struct nlmsghdr *current;
};

void message_begin(struct message *message, uint16_t type, uint16_t flags, const void *head, size_t length);
void attribute(struct message *message, uint16_t type, const void *data, size_t length);
void attribute_text(struct message *message, uint16_t type, const char *text);
void attribute_u32(struct message *message, uint16_t type, uint32_t value);
/* A nested attribute: give what begin returned to end. */
size_t nest_begin(struct message *message, uint16_t type);
void nest_end(struct message *message, size_t at);
/* Sends it and takes `answers` acknowledgements; 0, or the first errno of them. */
int message_send(const struct message *message, int protocol, int answers);

#endif
