"""Telling people outside the pages: mail by SMTP, SMS and WeCom through gateways by signed webhooks."""
