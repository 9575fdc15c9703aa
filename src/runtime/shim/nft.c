/*
 * The rules that lead port 53 of 127.0.0.11 to the ports of our sockets, so that a server in the container may have port
 * 53 of all addresses for itself. Written as nf_tables' own messages: to run nft takes 5 ms of every start.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

#include "netlink.h"
#include "shim.h"

#define TABLE "tcompose"
#define CHAIN "names"

static const uint8_t loopback_11[4] = {127, 0, 0, 11};

static void begin(struct message *message, uint16_t type, uint16_t flags) {
  struct nfgenmsg head = {.nfgen_family = NFPROTO_IPV4, .version = NFNETLINK_V0};
  if (type == NFNL_MSG_BATCH_BEGIN || type == NFNL_MSG_BATCH_END) {
    head.nfgen_family = AF_UNSPEC;
    head.res_id = htons(NFNL_SUBSYS_NFTABLES);
  } else {
    type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
  }
  message_begin(message, type, flags, &head, sizeof head);
}

static void attribute_be32(struct message *message, uint16_t type, uint32_t value) {
  attribute_u32(message, type, htonl(value));
}

struct nesting {
  size_t element, data;
};

static struct nesting expression_begin(struct message *message, const char *name) {
  struct nesting nesting;
  nesting.element = nest_begin(message, NFTA_LIST_ELEM);
  attribute_text(message, NFTA_EXPR_NAME, name);
  nesting.data = nest_begin(message, NFTA_EXPR_DATA);
  return nesting;
}

static void expression_end(struct message *message, struct nesting nesting) {
  nest_end(message, nesting.data);
  nest_end(message, nesting.element);
}

static void load_payload(struct message *message, uint32_t base, uint32_t offset, uint32_t length) {
  struct nesting nesting = expression_begin(message, "payload");
  attribute_be32(message, NFTA_PAYLOAD_DREG, NFT_REG_1);
  attribute_be32(message, NFTA_PAYLOAD_BASE, base);
  attribute_be32(message, NFTA_PAYLOAD_OFFSET, offset);
  attribute_be32(message, NFTA_PAYLOAD_LEN, length);
  expression_end(message, nesting);
}

static void load_protocol(struct message *message) {
  struct nesting nesting = expression_begin(message, "meta");
  attribute_be32(message, NFTA_META_DREG, NFT_REG_1);
  attribute_be32(message, NFTA_META_KEY, NFT_META_L4PROTO);
  expression_end(message, nesting);
}

static void value(struct message *message, uint16_t type, const void *data, size_t length) {
  size_t at = nest_begin(message, type);
  attribute(message, NFTA_DATA_VALUE, data, length);
  nest_end(message, at);
}

static void equals(struct message *message, const void *data, size_t length) {
  struct nesting nesting = expression_begin(message, "cmp");
  attribute_be32(message, NFTA_CMP_SREG, NFT_REG_1);
  attribute_be32(message, NFTA_CMP_OP, NFT_CMP_EQ);
  value(message, NFTA_CMP_DATA, data, length);
  expression_end(message, nesting);
}

static void load_constant(struct message *message, uint32_t target, const void *data, size_t length) {
  struct nesting nesting = expression_begin(message, "immediate");
  attribute_be32(message, NFTA_IMMEDIATE_DREG, target);
  value(message, NFTA_IMMEDIATE_DATA, data, length);
  expression_end(message, nesting);
}

static void redirect(struct message *message, uint8_t protocol, uint16_t port) {
  uint16_t from = htons(53), to = htons(port);
  begin(message, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK);
  attribute_text(message, NFTA_RULE_TABLE, TABLE);
  attribute_text(message, NFTA_RULE_CHAIN, CHAIN);
  size_t list = nest_begin(message, NFTA_RULE_EXPRESSIONS);
  load_payload(message, NFT_PAYLOAD_NETWORK_HEADER, 16, 4);
  equals(message, loopback_11, sizeof loopback_11);
  load_protocol(message);
  equals(message, &protocol, sizeof protocol);
  load_payload(message, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2);
  equals(message, &from, sizeof from);
  load_constant(message, NFT_REG_1, loopback_11, sizeof loopback_11);
  load_constant(message, NFT_REG_2, &to, sizeof to);
  struct nesting nesting = expression_begin(message, "nat");
  attribute_be32(message, NFTA_NAT_TYPE, NFT_NAT_DNAT);
  attribute_be32(message, NFTA_NAT_FAMILY, NFPROTO_IPV4);
  attribute_be32(message, NFTA_NAT_REG_ADDR_MIN, NFT_REG_1);
  attribute_be32(message, NFTA_NAT_REG_PROTO_MIN, NFT_REG_2);
  expression_end(message, nesting);
  nest_end(message, list);
}

bool redirect_dns(uint16_t udp_port, uint16_t tcp_port) {
  struct message message = {.length = 0};
  begin(&message, NFNL_MSG_BATCH_BEGIN, 0);
  begin(&message, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_ACK);
  attribute_text(&message, NFTA_TABLE_NAME, TABLE);
  begin(&message, NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_ACK);
  attribute_text(&message, NFTA_CHAIN_TABLE, TABLE);
  attribute_text(&message, NFTA_CHAIN_NAME, CHAIN);
  size_t hook = nest_begin(&message, NFTA_CHAIN_HOOK);
  attribute_be32(&message, NFTA_HOOK_HOOKNUM, NF_INET_LOCAL_OUT);
  attribute_be32(&message, NFTA_HOOK_PRIORITY, (uint32_t)-100);
  nest_end(&message, hook);
  attribute_text(&message, NFTA_CHAIN_TYPE, "nat");
  redirect(&message, IPPROTO_UDP, udp_port);
  redirect(&message, IPPROTO_TCP, tcp_port);
  begin(&message, NFNL_MSG_BATCH_END, 0);
  return message_send(&message, NETLINK_NETFILTER, 4) == 0;
}
