"""What the admin manages."""

from __future__ import annotations

from django.db import models


class Document(models.Model):
    """A titled file."""

    title = models.CharField(max_length=100)
    file = models.FileField()

    def __str__(self) -> str:
        return self.title
