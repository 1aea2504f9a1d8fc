"""The demo district: five subdistricts of Zhengzhou, made up from a seed and true to the published figures."""
