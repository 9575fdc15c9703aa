/* Interfaces, addresses, routes and sysctls in the container's network namespace. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "netlink.h"
#include "shim.h"

#define PARTS 6

struct in_addr own_v4;
struct in6_addr own_v6;
bool has_own_v4, has_own_v6;

static int set_link(int index, const char *name, const uint8_t *mac, uint32_t mtu) {
  struct message message = {.length = 0};
  struct ifinfomsg head = {.ifi_family = AF_UNSPEC, .ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  message_begin(&message, RTM_NEWLINK, NLM_F_ACK, &head, sizeof head);
  if (name) attribute_text(&message, IFLA_IFNAME, name);
  if (mac) attribute(&message, IFLA_ADDRESS, mac, 6);
  if (mtu > 0) attribute_u32(&message, IFLA_MTU, mtu);
  return message_send(&message, NETLINK_ROUTE, 1);
}

static int add_address(int index, const uint8_t *address, bool v6, unsigned prefix) {
  struct message message = {.length = 0};
  struct ifaddrmsg head = {.ifa_family = v6 ? AF_INET6 : AF_INET,
                           .ifa_prefixlen = (uint8_t)prefix,
                           /* Ours to give, so nobody else has it: usable at once. */
                           .ifa_flags = v6 ? IFA_F_NODAD : 0,
                           .ifa_index = (uint32_t)index};
  size_t length = v6 ? 16 : 4;
  message_begin(&message, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof head);
  attribute(&message, IFA_LOCAL, address, length);
  attribute(&message, IFA_ADDRESS, address, length);
  if (!v6 && prefix < 31) {
    uint32_t broadcast = get_u32(address) | (prefix == 0 ? UINT32_MAX : UINT32_MAX >> prefix);
    uint8_t bytes[4];
    put_u32(bytes, broadcast);
    attribute(&message, IFA_BROADCAST, bytes, sizeof bytes);
  }
  return message_send(&message, NETLINK_ROUTE, 1);
}

static int add_default_route(int index, const uint8_t *gateway, bool v6) {
  struct message message = {.length = 0};
  struct rtmsg head = {.rtm_family = v6 ? AF_INET6 : AF_INET,
                       .rtm_table = RT_TABLE_MAIN,
                       .rtm_protocol = RTPROT_BOOT,
                       .rtm_scope = RT_SCOPE_UNIVERSE,
                       .rtm_type = RTN_UNICAST};
  message_begin(&message, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof head);
  attribute(&message, RTA_GATEWAY, gateway, v6 ? 16 : 4);
  attribute_u32(&message, RTA_OIF, (uint32_t)index);
  return message_send(&message, NETLINK_ROUTE, 1);
}

char *lift_loopback(void) {
  int error = set_link((int)if_nametoindex("lo"), NULL, NULL, 0);
  return error ? format("set lo up: %s", strerror(error)) : NULL;
}

/* Of an interface or of the namespace; the kernel's view of /proc/sys/net is that of the reading process. */
static bool write_net(const char *path, const char *value) {
  char *full = format("/proc/sys/%s", path);
  int fd = open(full, O_WRONLY | O_CLOEXEC);
  bool done = fd >= 0 && write_whole(fd, value, strlen(value));
  int reason = errno;
  if (fd >= 0) close(fd);
  free(full);
  errno = reason;
  return done;
}

char *write_sysctls(const struct list *sysctls) {
  for (size_t i = 0; i < sysctls->length; i++) {
    char *path = copy(sysctls->items[i]);
    char *value = strchr(path, '=');
    if (!value) return format("sysctl %s has no value", path);
    *value++ = 0;
    /* As sysctl(8): a name with slashes keeps its dots. */
    char *dot = strchr(path, '/') ? NULL : strchr(path, '.');
    for (; dot; dot = strchr(dot, '.')) *dot = '/';
    if (strncmp(path, "net/", 4) != 0 || strstr(path, "..")) return format("sysctl %s is not of the network", path);
    if (!write_net(path, value)) {
      return format("write sysctl %s: %s", sysctls->items[i], strerror(errno));
    }
    free(path);
  }
  return NULL;
}

static bool parse_mac(const char *text, uint8_t *mac) {
  unsigned part[6];
  char rest;
  if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &part[0], &part[1], &part[2], &part[3], &part[4], &part[5], &rest) != 6) {
    return false;
  }
  for (int i = 0; i < 6; i++) mac[i] = (uint8_t)part[i];
  return true;
}

static void set_ipv6(const char *name, bool wanted) {
  /* As Docker: an interface without an IPv6 address of ours has none at all. Fails where the host has no IPv6. */
  char *path = format("net/ipv6/conf/%s/disable_ipv6", name);
  (void)write_net(path, wanted ? "0" : "1");
  free(path);
}

static char *configure_interface(char *const *part) {
  const char *temporary = part[0], *name = part[1];
  uint8_t mac[6], address[16];
  uint64_t mtu = 0;
  int index = (int)if_nametoindex(temporary);
  if (index == 0) return format("interface %s has not arrived", temporary);
  bool has_mac = part[2][0] != 0;
  if ((has_mac && !parse_mac(part[2], mac)) || !parse_number(part[3], &mtu) || strlen(name) >= IFNAMSIZ) {
    return format("interface %s: a wrong name, address or mtu", name);
  }
  set_ipv6(temporary, strchr(part[4], ':') != NULL);
  int error = set_link(index, strcmp(temporary, name) == 0 ? NULL : name, has_mac ? mac : NULL, (uint32_t)mtu);
  if (error) return format("set up interface %s: %s", name, strerror(error));
  char *save = NULL;
  for (char *text = strtok_r(part[4], ",", &save); text; text = strtok_r(NULL, ",", &save)) {
    bool v6 = strchr(text, ':') != NULL;
    char *slash = strchr(text, '/');
    uint64_t prefix = 0;
    if (slash) *slash++ = 0;
    if (!slash || !parse_number(slash, &prefix) || prefix > (v6 ? 128 : 32) ||
        inet_pton(v6 ? AF_INET6 : AF_INET, text, address) != 1) {
      return format("interface %s: address %s is wrong", name, text);
    }
    error = add_address(index, address, v6, (unsigned)prefix);
    if (error) return format("give %s to interface %s: %s", text, name, strerror(error));
    if (!v6 && !has_own_v4) has_own_v4 = true, memcpy(&own_v4, address, sizeof own_v4);
    if (v6 && !has_own_v6) has_own_v6 = true, memcpy(&own_v6, address, sizeof own_v6);
  }
  for (char *text = strtok_r(part[5], ",", &save); text; text = strtok_r(NULL, ",", &save)) {
    bool v6 = strchr(text, ':') != NULL;
    if (inet_pton(v6 ? AF_INET6 : AF_INET, text, address) != 1) return format("gateway %s is wrong", text);
    error = add_default_route(index, address, v6);
    if (error) return format("route by %s on interface %s: %s", text, name, strerror(error));
  }
  return NULL;
}

/* Each interface is six strings: name it has, name it gets, MAC, MTU, addresses and gateways separated by commas. */
char *configure_interfaces(struct strings *interfaces) {
  char *part[PARTS];
  while ((part[0] = strings_next(interfaces))) {
    for (int i = 1; i < PARTS; i++) {
      if (!(part[i] = strings_next(interfaces))) return copy("an interface is cut short");
    }
    char *error = configure_interface(part);
    if (error) return error;
  }
  return NULL;
}
